"""What the model of delivery is made of: the log that is read, runs as lists, and viewers with what they got."""

from __future__ import annotations

from collections.abc import Sequence

from delivery_stage import ListOutlet
from store_material import Project

from orchestrator.records import NewRun, SavedEvent
from realtime.events import Event, RunKey
from realtime.page import Page
from realtime.subscription import Ending, Subscription
from realtime.wiring.adapters import StoredLog


class FlakyLog(StoredLog):
    """The log in the store; so many of the next readings fail."""

    failures = 0

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        if self.failures:
            self.failures -= 1
            raise OSError("the log cannot be read now")
        return await super().read(key, after, limit)


class Outlet(ListOutlet):
    """An outlet that also keeps the events themselves."""

    def __init__(self, takes: int) -> None:
        super().__init__(takes=takes)
        self.events: list[tuple[int, str, str]] = []

    def send_page(self, page: Page) -> int:
        self.events += [(event.id, event.type, event.payload) for event in page.events]
        return super().send_page(page)


class Run:
    """A run: all that was saved of it, and what of that nobody was told yet."""

    def __init__(self, project: Project, run: NewRun) -> None:
        self.run = run
        self.key = RunKey(project.tenant, run.id)
        self.saved: list[tuple[int, str, str]] = []
        self.untold: list[list[Event]] = []
        self.told: list[list[Event]] = []
        self.ended = False
        self.dropped = False

    def add(self, events: Sequence[SavedEvent]) -> None:
        """Note what was saved."""
        self.saved += [(event.id, event.type, event.payload) for event in events]
        self.untold.append([Event(self.run.id, event.id, event.type, event.payload) for event in events])


class Viewer:
    """A viewer of a run, from a cursor on."""

    def __init__(self, of: Run, cursor: int, takes: int) -> None:
        self.of = of
        self.cursor = cursor
        self.outlet = Outlet(takes)
        self.subscription: Subscription
        self.left_with: int | None = None

    @property
    def due(self) -> list[tuple[int, str, str]]:
        """Everything after its cursor."""
        return self.of.saved[self.cursor :]

    @property
    def served(self) -> bool:
        """True where it has all that it is due, or was told that it cannot have it."""
        if self.left_with is not None or self.outlet.ending is Ending.LOST:
            return True
        return self.outlet.events == self.due and (self.outlet.ending is not None) == self.of.ended
