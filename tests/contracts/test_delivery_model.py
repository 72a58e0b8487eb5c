"""Model checking: a real store, its log, and a broadcaster with its viewers, against a list of what was saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from delivery_model import FlakyLog, Run, Viewer
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
from orchestrator.store import open_sqlite_store
from realtime import topic as topic_module
from realtime.broadcaster import Broadcaster
from realtime.events import Event
from realtime.subscription import Ending

Result = TypeVar("Result")

PATIENCE_S = 30


class Delivery(RuleBasedStateMachine):
    """Whatever is saved, told, not told, read, and forgotten, in whatever order: viewers get the list."""

    viewers: Bundle[Viewer] = Bundle("viewers")

    def __init__(self, runner: asyncio.Runner, project: Project) -> None:
        super().__init__()
        self._runner = runner
        self._project = project
        self._log = FlakyLog(project.store)
        self._delivery = Broadcaster(self._log, tail_events=4, tails_bytes=1500, idle_runs=1)
        self._runs: list[Run] = []
        self._all: list[Viewer] = []
        for _ in range(2):
            self._begin()

    def _begin(self) -> None:
        run = Run(self._project, self._do(self._project.accept()))
        run.add(self._do(self._project.store.runs.read_events(run.key.tenant, run.run.id, 0)))
        self._runs.append(run)

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def _some_run(self, data: st.DataObject, found: Callable[[Run], object]) -> Run:
        return data.draw(st.sampled_from([run for run in self._runs if found(run)]))

    def _save(self, run: Run, count: int) -> None:
        first = len(run.saved)
        facts = [running(run.run, percent=(first + more) % 101) for more in range(count)]
        run.add(self._do(self._project.save(run.run, *facts)))

    def _publish(self, run: Run, events: list[Event]) -> None:
        self._do(self._call(lambda: self._delivery.publish(run.key, events)))

    @precondition(lambda self: any(not run.ended for run in self._runs))
    @rule(data=st.data(), count=st.integers(1, 6))
    def save(self, data: st.DataObject, count: int) -> None:
        """Progress is saved, and not told yet."""
        self._save(self._some_run(data, lambda run: not run.ended), count)

    @precondition(lambda self: any(not run.ended for run in self._runs))
    @rule(data=st.data(), count=st.integers(1, 6))
    def save_and_publish(self, data: st.DataObject, count: int) -> None:
        """Progress is saved and told at once, maybe before what was saved earlier."""
        run = self._some_run(data, lambda run: not run.ended)
        self._save(run, count)
        run.told.append(run.untold.pop())
        self._publish(run, run.told[-1])

    @precondition(lambda self: any(run.untold for run in self._runs))
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Something of what was saved is told, in order or not."""
        run = self._some_run(data, lambda run: run.untold)
        run.told.append(run.untold.pop(data.draw(st.integers(0, len(run.untold) - 1))))
        self._publish(run, run.told[-1])

    @precondition(lambda self: any(run.told for run in self._runs))
    @rule(data=st.data())
    def publish_again(self, data: st.DataObject) -> None:
        """Something is told a second time."""
        run = self._some_run(data, lambda run: run.told)
        self._publish(run, data.draw(st.sampled_from(run.told)))

    @precondition(lambda self: any(run.untold for run in self._runs))
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """The newest that was saved is never told, as where its process died."""
        self._some_run(data, lambda run: run.untold).untold.pop()

    @precondition(lambda self: any(not run.ended for run in self._runs))
    @rule(data=st.data(), cancelled=st.booleans())
    def end(self, data: st.DataObject, cancelled: bool) -> None:
        """The worker writes the end of a run, or somebody cancels it; another run begins."""
        run = self._some_run(data, lambda run: not run.ended)
        if cancelled:
            store = self._project.store.runs
            ended = self._do(store.end_run(run.key.tenant, run.run.id, lambda record: cancellation(record, "u2")))
            assert ended is not None
            run.add(ended.events)
        else:
            run.add(self._do(self._project.save(run.run, done(run.run))))
        run.ended = True
        self._begin()

    @rule(target=viewers, data=st.data(), back=st.integers(0, 20), takes=st.sampled_from([1, 2, 3, 1_000_000]))
    def subscribe(self, data: st.DataObject, back: int, takes: int) -> Viewer:
        """A viewer comes with any cursor; of a run that has ended with one that is not at its end."""
        run = self._some_run(data, lambda run: True)
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

    @rule(viewer=viewers, takes=st.sampled_from([1, 2, 3, 1_000_000]))
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
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits: a log that failed is read again at once, and what follows an event leaves a turn later."""
    monkeypatch.setattr(topic_module, "RETRY_S", 0.0)
    monkeypatch.setattr(topic_module, "FLUSH_S", 0.0005)


def test_any_delivery_gives_every_viewer_the_log_from_its_cursor_on(tmp_path: Path, quick: None) -> None:
    """Store, tail, broadcaster and subscriptions together do what one list would do, whatever happens when."""
    with asyncio.Runner() as runner, capture_logs():
        store = runner.run(open_sqlite_store(tmp_path / "home"))
        try:
            project = runner.run(open_project(store))
            run_state_machine_as_test(
                lambda: Delivery(runner, project),
                settings=settings(
                    max_examples=80,
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(store.close())
