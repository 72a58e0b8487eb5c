"""The one writer of a run's log, over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import msgspec
import pytest
from run_stage import AUTOMATION, BA, QA, RunStage, Through, finished, turns

from orchestrator.errors import ClaimLostError, IllegalTransitionError, StoreError
from orchestrator.events import Fact, RunEnded, StepComplete, StepError, StepQueued, StepRunning
from orchestrator.recorder import Recorder
from orchestrator.records import Artifact, RunRecord, SavedEvent


def running(run: RunRecord, percent: int, step: int = 0) -> StepRunning:
    """Progress of the run's step at that index."""
    found = run.steps[step]
    return StepRunning(
        step_id=found.id, agent_type=found.agent_type, progress_pct=percent, progress_label="busy", attempt=1
    )


def complete(run: RunRecord, step: int = 0) -> StepComplete:
    """Success of the run's step at that index."""
    found = run.steps[step]
    return StepComplete(step_id=found.id, agent_type=found.agent_type, tokens_used=5, artifact_id="a", duration_ms=1)


def error(run: RunRecord, step: int = 0) -> StepError:
    """Failure of the run's step at that index."""
    found = run.steps[step]
    return StepError(step_id=found.id, agent_type=found.agent_type, error_code="STEP_FAILED", message="no")


async def begin(stage: RunStage, runs: Any = None) -> tuple[Recorder, RunRecord]:
    """A recorder of a new run of all agents, claimed by it."""
    run = await stage.claim(await stage.accept(BA, QA, AUTOMATION))
    return Recorder(runs or stage.store.runs, stage.publisher, stage.tenant, run, "mine"), run


class Held(Through):
    """Commits, and then does not return before the test lets it."""

    def __init__(self, stage: RunStage) -> None:
        super().__init__(stage.store.runs)
        self.committed = asyncio.Event()
        self.released = asyncio.Event()

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        saved = await super().save(tenant, run_id, token, facts, artifacts)
        self.committed.set()
        await self.released.wait()
        return saved


class Uncertain(Through):
    """Raises StoreError at the first save, after or before it took effect; then maybe at the first read as well."""

    def __init__(self, stage: RunStage, *, commits: bool, blind: bool = False) -> None:
        super().__init__(stage.store.runs)
        self.commits = commits
        self.blind = blind
        self.raised = False
        self.asked: list[str] = []

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        self.asked.append("save")
        if self.raised:
            return await super().save(tenant, run_id, token, facts, artifacts)
        self.raised = True
        if self.commits:
            await super().save(tenant, run_id, token, facts, artifacts)
        raise StoreError("connection lost")

    async def settled_events(self, tenant: str, run_id: str, after: int, limit: int) -> tuple[SavedEvent, ...]:
        self.asked.append("read")
        if self.blind:
            self.blind = False
            raise StoreError("connection refused")
        return await self.store.settled_events(tenant, run_id, after, limit)


async def test_save_several_facts_keeps_and_publishes_them_together(stage: RunStage) -> None:
    """Facts of one save are one transaction and reach the publisher in one call, in order, with following ids."""
    recorder, run = await begin(stage)
    await recorder.save(running(run, 0))
    await recorder.save(complete(run), running(run, 0, step=1))
    assert [(line.id, line.type) for line in stage.publisher.lines[3:]] == [
        (4, "running"),
        (5, "complete"),
        (6, "running"),
    ]
    await stage.check(run)


async def test_unfinished_and_ended_follow_the_log(stage: RunStage) -> None:
    """What can still happen is known without asking the store."""
    recorder, run = await begin(stage)
    steps = [step.id for step in run.steps]
    assert recorder.unfinished == set(steps)
    await recorder.save(running(run, 0))
    await recorder.save(complete(run))
    assert recorder.unfinished == set(steps[1:])
    await recorder.save(error(run, 1), error(run, 2))
    assert recorder.unfinished == set()
    assert not recorder.ended
    await recorder.save(RunEnded.failure(run.id, "STEP_FAILED", "no"))
    assert recorder.ended


async def test_impossible_fact_saves_nothing(stage: RunStage) -> None:
    """A fact that cannot follow what is saved is refused with all that came with it; nothing reaches the store."""
    recorder, run = await begin(stage)
    await recorder.save(running(run, 0))
    await recorder.save(complete(run))
    before = await stage.log(run)
    for facts in (
        [running(run, 0, step=1), running(run, 50)],
        [error(run)],
        [complete(run)],
    ):
        with pytest.raises(IllegalTransitionError, match="completed"):
            await recorder.save(*facts)
    with pytest.raises(ValueError, match="accepting"):
        await recorder.save(StepQueued(step_id=run.steps[1].id, agent_type=QA, position=2, total_steps=3))
    assert await stage.log(run) == before
    await recorder.save(running(run, 0, step=1))
    await stage.check(run)


async def test_nothing_follows_the_terminal_event(stage: RunStage) -> None:
    """After the end of the run every fact is refused."""
    recorder, run = await begin(stage)
    await recorder.save(RunEnded.failure(run.id, "CANCELLED", "enough"))
    with pytest.raises(IllegalTransitionError, match="cancelled"):
        await recorder.save(RunEnded.success(run.id))
    with pytest.raises(ClaimLostError):
        await recorder.save(running(run, 0))
    await stage.check(run)


async def test_claim_lost_saves_and_publishes_nothing(stage: RunStage) -> None:
    """Invariant 1: the save of a worker whose token is no longer on the run changes nothing."""
    recorder, run = await begin(stage)
    await stage.claim(run, "another")
    with pytest.raises(ClaimLostError):
        await recorder.save(running(run, 0))
    assert len(await stage.log(run)) == 3
    assert len(stage.publisher.events) == 3


async def test_save_waits_until_the_one_before_is_published(stage: RunStage) -> None:
    """Invariant 2: the next save begins after the last is published, in the order in which they were asked for."""
    held = Held(stage)
    recorder, run = await begin(stage, held)
    first = asyncio.create_task(recorder.save(running(run, 0)))
    await held.committed.wait()
    later = [asyncio.create_task(recorder.save(running(run, percent))) for percent in (10, 20, 30)]
    await turns(50)
    assert len(await stage.log(run)) == 4
    assert len(stage.publisher.events) == 3
    held.released.set()
    for task in (first, *later):
        await finished(task)
    assert [line.payload["progress_pct"] for line in stage.publisher.lines[3:]] == [0, 10, 20, 30]
    await stage.check(run)


async def test_cancelled_between_commit_and_publish_loses_nothing(stage: RunStage) -> None:
    """Invariant 2: a caller cancelled after the commit is gone at once, and the event is published all the same."""
    held = Held(stage)
    recorder, run = await begin(stage, held)
    caller = asyncio.create_task(recorder.save(running(run, 0)))
    await held.committed.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finished(caller)
    settled = asyncio.create_task(recorder.settle())
    await turns(10)
    assert not settled.done()
    held.released.set()
    await finished(settled)
    assert len(stage.publisher.events) == 4
    await stage.check(run)


async def test_cancelled_run_returns_after_its_save_is_published(stage: RunStage) -> None:
    """Invariant 2: a whole worker cancelled between commit and publish ends with the event published."""
    held = Held(stage)
    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(runs=held))
    await held.committed.wait()
    worker.cancel()
    await turns(20)
    assert not worker.done()
    held.released.set()
    with pytest.raises(asyncio.CancelledError):
        await finished(worker)
    assert [line.type for line in stage.publisher.lines] == ["queued", "running"]
    await stage.check(run)


async def test_failed_save_of_a_cancelled_caller_disturbs_nobody(stage: RunStage) -> None:
    """A save that fails when nobody waits for it any more is not reported to anybody else."""

    class Late(Held):
        async def save(self, *args: Any, **options: Any) -> tuple[SavedEvent, ...]:
            self.committed.set()
            await self.released.wait()
            raise ClaimLostError("gone")

    late = Late(stage)
    recorder, run = await begin(stage, late)
    caller = asyncio.create_task(recorder.save(running(run, 0)))
    await late.committed.wait()
    caller.cancel()
    late.released.set()
    await recorder.settle()
    assert caller.cancelled() or caller.done()
    assert len(await stage.log(run)) == 3


async def test_commit_that_took_effect_unknown_is_published_once(stage: RunStage) -> None:
    """Invariant 2: the events of a commit that was made and reported as failed are published once, all goes on."""
    uncertain = Uncertain(stage, commits=True)
    recorder, run = await begin(stage, uncertain)
    odd = msgspec.structs.replace(running(run, 40, step=1), progress_label="what no store keeps: \0\ud800")
    await recorder.save(running(run, 0), odd)
    await recorder.save(running(run, 50))
    assert uncertain.asked == ["save", "read", "save"]
    assert [event.id for event in stage.publisher.events] == [1, 2, 3, 4, 5, 6]
    await stage.check(run)


async def test_commit_that_took_no_effect_raises_and_publishes_nothing(stage: RunStage) -> None:
    """Invariant 2: a save that failed says so, leaves nothing, and the same can be saved again."""
    uncertain = Uncertain(stage, commits=False)
    recorder, run = await begin(stage, uncertain)
    with pytest.raises(StoreError, match="connection lost"):
        await recorder.save(running(run, 0))
    assert len(stage.publisher.events) == 3
    assert recorder.unfinished == {step.id for step in run.steps}
    await recorder.save(running(run, 0))
    await stage.check(run)


@pytest.mark.parametrize("commits", [True, False])
async def test_outcome_that_cannot_be_read_is_read_before_the_next_save(stage: RunStage, *, commits: bool) -> None:
    """Invariant 2: while an outcome is unknown nothing is saved; once it can be read, the log goes on without gap."""
    uncertain = Uncertain(stage, commits=commits, blind=True)
    recorder, run = await begin(stage, uncertain)
    with pytest.raises(StoreError, match="connection refused"):
        await recorder.save(running(run, 0))
    assert len(stage.publisher.events) == 3
    await recorder.save(running(run, 50))
    assert uncertain.asked == ["save", "read", "read", "save"]
    assert [line.payload["progress_pct"] for line in stage.publisher.lines[3:]] == ([0, 50] if commits else [50])
    await stage.check(run)


async def test_catch_up_learns_an_unknown_outcome(stage: RunStage) -> None:
    """What was saved after all counts as finished, so that it cannot be ended a second time."""
    uncertain = Uncertain(stage, commits=True, blind=True)
    recorder, run = await begin(stage, uncertain)
    with pytest.raises(StoreError):
        await recorder.save(complete(run))
    assert run.steps[0].id in recorder.unfinished
    await recorder.catch_up()
    assert run.steps[0].id not in recorder.unfinished
    await stage.check(run)


async def test_another_workers_event_is_not_taken_for_ones_own(stage: RunStage) -> None:
    """An unknown outcome is judged by what stands in the log, not by the log having grown."""

    class Overtaken(Through):
        async def save(self, *args: Any, **options: Any) -> tuple[SavedEvent, ...]:
            await self.store.claim_run(stage.tenant, run.id, "another", seize=True)
            await self.store.save(stage.tenant, run.id, "another", [running(run, 90)])
            raise StoreError("connection lost")

    recorder, run = await begin(stage, Overtaken(stage.store.runs))
    with pytest.raises(StoreError):
        await recorder.save(running(run, 0))
    assert len(stage.publisher.events) == 3


async def test_publisher_that_raises_never_reaches_the_run(
    stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """Invariant 2: a publisher that fails is logged; what is saved stays saved and the next save is made."""
    recorder, run = await begin(stage)
    stage.publisher.error = RuntimeError("broken")
    await recorder.save(running(run, 0))
    await recorder.save(complete(run))
    assert [entry["event"] for entry in logged] == ["events are saved and could not be published"] * 2
    await stage.check(run)
