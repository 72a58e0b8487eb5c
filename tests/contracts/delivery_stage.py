"""A run log in a list, outlets that note what they are handed, and a broadcaster between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence

from realtime.broadcaster import Broadcaster
from realtime.events import Event, RunKey
from realtime.page import Page
from realtime.subscription import Ending, Subscription

KEY = RunKey("demo", "run")


def make_event(event_id: int, *, last: bool = False, run_id: str = "run", size: int = 0) -> Event:
    """One event, the terminal one if ``last``."""
    payload = {"n": event_id, "x": "x" * size} if size else {"n": event_id}
    if last:
        return Event(run_id, event_id, "complete", json.dumps({"all_done": True}))
    return Event(run_id, event_id, "running", json.dumps(payload))


class ListLog:
    """A run log in a list that notes what is read; it can be slow, broken, or have lost its beginning."""

    def __init__(self) -> None:
        self.logs: dict[RunKey, list[Event]] = {}
        self.reads: list[tuple[RunKey, int]] = []
        self.delay: Callable[[], float] = lambda: 0.0
        self.failures = 0
        self.kept_heads: dict[RunKey, int] = {}
        """Those of runs whose logs are gone, which their rows still have."""

    def add(self, count: int, *, key: RunKey = KEY, last: bool = False, size: int = 0) -> list[Event]:
        """Append so many events to the log; nothing is published."""
        log = self.logs.setdefault(key, [])
        first = log[-1].id + 1 if log else 1
        made = [
            make_event(number, run_id=key.run_id, size=size, last=last and number == first + count - 1)
            for number in range(first, first + count)
        ]
        log += made
        return made

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        self.reads.append((key, after))
        await asyncio.sleep(self.delay())
        if self.failures:
            self.failures -= 1
            raise OSError("the log cannot be read now")
        # as a database does it: each read makes new objects
        page = [event for event in self.logs.get(key, []) if event.id > after][:limit]
        return [Event(event.run_id, event.id, event.type, event.payload) for event in page]

    async def heads(self, keys: Iterable[RunKey]) -> dict[RunKey, int]:
        newest = self.kept_heads | {key: log[-1].id for key, log in self.logs.items() if log}
        return {key: newest[key] for key in keys if key in newest}


class ListOutlet:
    """An outlet that notes what it is handed and can be shut and opened; it shuts itself after so many pages."""

    line = None

    def __init__(self, *, takes: int = 1_000_000) -> None:
        self.got: list[int] = []
        self.batches: list[list[int]] = []
        self.ending: Ending | None = None
        self.ready = True
        self.takes = takes
        self._callbacks: list[Callable[[], None]] = []

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def send_page(self, page: Page) -> int:
        assert self.ready
        assert page.events
        self.batches.append([event.id for event in page.events])
        self.got += self.batches[-1]
        self.takes -= 1
        self.ready = self.takes > 0
        return len(page.frames)

    def open(self) -> None:
        """Take more again."""
        self.ready = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_end(self, ending: Ending) -> None:
        """Note how the subscription ended."""
        assert self.ending is None
        self.ending = ending

    async def has(self, count: int) -> None:
        """Return when so many events have come."""
        async with asyncio.timeout(30):
            while len(self.got) < count:
                await asyncio.sleep(0)

    async def ended(self) -> Ending:
        """How the subscription ended, once it has."""
        async with asyncio.timeout(30):
            while self.ending is None:
                await asyncio.sleep(0)
        return self.ending


class BrokenOutlet(ListOutlet):
    """An outlet that fails when it is handed something."""

    def send_page(self, page: Page) -> int:
        raise RuntimeError("this outlet is broken")


def watch(
    delivery: Broadcaster, outlet: ListOutlet, cursor: int = 0, key: RunKey = KEY, head: int = 0
) -> Subscription:
    """Subscribe ``outlet`` to a run."""
    return delivery.subscribe(key, cursor, outlet, outlet.on_end, head=head)
