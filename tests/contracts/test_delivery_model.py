"""Model checking: a real store, its log, and a broadcaster with its viewers, against a list of what was saved."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from delivery_stage import ListOutlet
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_material import Project, done, open_project, running
from structlog.testing import capture_logs

from orchestrator.endings import cancellation
from orchestrator.records import NewRun, SavedEvent
from orchestrator.store import open_sqlite_store
from realtime import topic as topic_module
from realtime.broadcaster import Broadcaster
from realtime.events import Event, RunKey
from realtime.page import Page
from realtime.subscription import Ending, Subscription
from realtime.wiring.adapters import StoredLog

Result = TypeVar("Result")

RUNS = 2
PATIENCE_S = 10

which_run = st.integers(0, RUNS - 1)


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


class Delivery(RuleBasedStateMachine):
    """Whatever is saved, told, not told, read, and forgotten, in whatever order: viewers get the list."""

    viewers: Bundle[Viewer] = Bundle("viewers")

    def __init__(self, runner: asyncio.Runner, project: Project) -> None:
        super().__init__()
        self._runner = runner
        self._project = project
        self._log = FlakyLog(project.store)
        self._delivery = Broadcaster(self._log, tail_events=4, tails_bytes=1500, idle_runs=1)
        self._runs = [Run(project, self._do(project.accept())) for _ in range(RUNS)]
        self._all: list[Viewer] = []
        for run in self._runs:
            run.add(self._do(project.store.runs.read_events(project.tenant, run.run.id, 0)))

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    @rule(number=which_run, count=st.integers(1, 9))
    def save(self, number: int, count: int) -> None:
        """Progress is saved."""
        run = self._runs[number]
        if not run.ended:
            first = len(run.saved)
            facts = [running(run.run, percent=(first + more) % 101) for more in range(count)]
            run.add(self._do(self._project.save(run.run, *facts)))

    @rule(number=which_run, cancelled=st.booleans())
    def end(self, number: int, cancelled: bool) -> None:
        """The worker writes the end of the run, or somebody cancels it."""
        run = self._runs[number]
        if run.ended:
            return
        if cancelled:
            store = self._project.store.runs
            ended = self._do(store.end_run(run.key.tenant, run.run.id, lambda record: cancellation(record, "u2")))
            assert ended is not None
            run.add(ended.events)
        else:
            run.add(self._do(self._project.save(run.run, done(run.run))))
        run.ended = True

    @rule(number=which_run, data=st.data())
    def publish(self, number: int, data: st.DataObject) -> None:
        """What was saved is told: in order or not, and some of it again."""
        run = self._runs[number]
        if run.untold:
            run.told.append(run.untold.pop(data.draw(st.integers(0, len(run.untold) - 1))))
        if run.told:
            events = data.draw(st.sampled_from(run.told[-3:]))
            self._do(self._call(lambda: self._delivery.publish(run.key, events)))

    @rule(number=which_run)
    def lose(self, number: int) -> None:
        """The newest that was saved is never told, as where its process died."""
        run = self._runs[number]
        if run.untold:
            run.untold.pop()

    @rule(target=viewers, number=which_run, back=st.integers(0, 40), takes=st.integers(1, 4))
    def subscribe(self, number: int, back: int, takes: int) -> Viewer:
        """A viewer comes with any cursor; of a run that has ended with one that is not at its end."""
        run = self._runs[number]
        head = len(run.saved)
        viewer = Viewer(run, max(0, head - back - run.ended), takes)
        self._all.append(viewer)

        def join() -> None:
            outlet = viewer.outlet
            viewer.subscription = self._delivery.subscribe(run.key, viewer.cursor, outlet, outlet.on_end, head=head)

        self._do(self._call(join))
        return viewer

    @rule(viewer=viewers)
    def shut(self, viewer: Viewer) -> None:
        """A viewer takes no more."""
        viewer.outlet.ready = False

    @rule(viewer=viewers, takes=st.integers(1, 4))
    def drain(self, viewer: Viewer, takes: int) -> None:
        """A viewer takes some pages more."""
        viewer.outlet.takes = takes
        self._do(self._call(viewer.outlet.open))

    @rule(viewer=viewers)
    def leave(self, viewer: Viewer) -> None:
        """A viewer goes."""
        if viewer.left_with is None:
            self._do(self._call(viewer.subscription.close))
            viewer.left_with = len(viewer.outlet.events)

    @rule()
    def reconcile(self) -> None:
        """The heads are compared with the store."""
        self._do(self._delivery.reconcile())

    @precondition(lambda self: any(run.ended for run in self._runs))
    @rule()
    def drop_logs(self) -> None:
        """The logs of all runs that have ended go, as by retention."""
        self._do(self._project.store.drop_logs(self._project.tenant, -1))
        for run in self._runs:
            run.dropped |= run.ended

    @rule(failures=st.integers(1, 2))
    def break_log(self, failures: int) -> None:
        """The log cannot be read a few times."""
        self._log.failures = failures

    @rule(turns=st.integers(1, 30))
    def go_on(self, turns: int) -> None:
        """What is under way comes a little further."""
        self._do(self._turn(turns))

    @invariant()
    def viewers_have_a_beginning_of_the_list(self) -> None:
        """No gap, no repeat, nothing changed, at any moment; nobody who left gets more; only lost logs are lost."""
        for viewer in self._all:
            got = viewer.outlet.events
            assert got == viewer.due[: len(got)]
            assert viewer.left_with in {None, len(got)}
            match viewer.outlet.ending:
                case Ending.FINISHED:
                    assert viewer.of.ended
                    assert got == viewer.due
                case Ending.LOST:
                    assert viewer.of.dropped
                case ending:
                    assert ending is None

    def teardown(self) -> None:
        """In the end, every viewer that takes what it is sent has the whole list from its cursor on."""
        try:
            self._do(self._settle())
        finally:
            self._do(self._delivery.close())
        self.viewers_have_a_beginning_of_the_list()

    async def _settle(self) -> None:
        self._log.failures = 0
        async with asyncio.timeout(PATIENCE_S):
            while not all(viewer.served for viewer in self._all):
                await self._delivery.reconcile()
                for viewer in self._all:
                    viewer.outlet.takes = 1_000_000
                    viewer.outlet.open()
                await asyncio.sleep(0.001)

    async def _call(self, act: Any) -> None:
        """Do something inside the event loop, in one turn."""
        act()

    async def _turn(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No waits: a log that failed is read again at once, and what follows an event leaves a turn later."""
    monkeypatch.setattr(topic_module, "RETRY_S", 0.0)
    monkeypatch.setattr(topic_module, "FLUSH_S", 0.0005)
    return


def test_any_delivery_gives_every_viewer_the_log_from_its_cursor_on(tmp_path: Path, quick: None) -> None:
    """Store, tail, broadcaster and subscriptions together do what one list would do, whatever happens when."""
    with asyncio.Runner() as runner, capture_logs():
        store = runner.run(open_sqlite_store(tmp_path / "home"))
        try:
            project = runner.run(open_project(store))
            run_state_machine_as_test(
                lambda: Delivery(runner, project),
                settings=settings(
                    max_examples=60,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(store.close())
