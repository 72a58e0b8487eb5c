"""Runs that go from one worker to another; over the real store."""

from __future__ import annotations

from typing import Any

import pytest
from run_stage import BA, QA, BusyAgent, RunStage, cancelled, finished
from service_stage import kept
from store_material import free

from orchestrator.errors import BudgetExceededError, ModelError
from orchestrator.lease import LOOK_S, Leases
from orchestrator.pipeline import PipelineMode
from orchestrator.records import Document, RunRecord
from orchestrator.runner import MOST_TAKEOVERS
from orchestrator.states import RunState, StepState

PARALLEL = PipelineMode.PARALLEL
MODES = pytest.mark.parametrize("mode", list(PipelineMode))


async def lose(stage: RunStage, run: RunRecord, times: int) -> None:
    """Let so many workers claim the run and be lost."""
    for number in range(times):
        await stage.claim(run, f"lost-{number}")


@MODES
async def test_claim_lost_stops_the_worker_without_a_trace(stage: RunStage, mode: PipelineMode) -> None:
    """Invariant 1: after another claim the old worker writes and publishes nothing more, and returns quietly."""
    run = await stage.accept(BA, QA, mode=mode)
    worker = stage.work(run)
    call = await stage.call(BA)
    await stage.claim(run, "another")
    before = await stage.log(run)
    call.finish()
    if mode is PARALLEL:
        (await stage.call(QA)).fail(ModelError("no answer"))
    await finished(worker)
    assert await stage.log(run) == before
    assert stage.publisher.lines == before


async def test_claim_lost_while_giving_up_stops_quietly(stage: RunStage) -> None:
    """A worker that fails outside its steps and has lost its run leaves its end to the other."""

    class Slow:
        async def list_documents(self, *args: Any, **options: Any) -> tuple[Document, ...]:
            await stage.claim(run, "another")
            raise LookupError("gone")

    run = await stage.accept(BA)
    await finished(stage.work(run, stage.runner(documents=Slow())))
    assert [line.type for line in await stage.log(run)] == ["queued"]


@MODES
async def test_run_claimed_away_has_its_agents_cancelled(stage: RunStage, mode: PipelineMode) -> None:
    """A worker that learns that its claim is another's ends its agents within a look, and writes nothing more."""
    run = await stage.accept(BA, QA, mode=mode)
    leases = Leases(stage.store.runs, stage.lease_clock)
    async with kept(leases):
        worker = stage.work(run, stage.runner(leases=leases))
        calls = [await stage.call(BA)] + ([await stage.call(QA)] if mode is PARALLEL else [])
        before = await stage.log(run)
        await stage.claim(run, "another")
        await stage.lease_clock.naps.nth(1)
        stage.lease_clock.advance(LOOK_S)
        await finished(worker)
    assert all(call.outcome.cancelled() for call in calls)
    assert not worker.cancelled()
    assert await stage.log(run) == stage.publisher.lines == before
    assert await stage.store.runs.held_claims(stage.tenant, {run.id: "another"}) == {run.id}


async def test_run_handed_back_continues_at_the_unfinished_step(stage: RunStage) -> None:
    """A new worker repeats no finished step, gives its artifact to the next, and counts the attempt on."""
    run = await stage.accept(BA, QA)
    worker = stage.work(run)
    (await stage.call(BA)).finish("# kept\n")
    await stage.call(QA)
    await cancelled(worker)
    assert worker.cancelled()
    second = stage.work(run)
    call = await stage.call(QA, 2)
    assert [artifact.content for artifact in call.context.earlier] == ["# kept\n"]
    call.finish()
    await finished(second)
    record = await stage.check(run)
    assert len(stage.agents[BA].calls) == 1
    assert [step.attempt for step in record.steps] == [1, 2]
    assert record.takeovers == 0
    assert record.status is RunState.COMPLETED


@pytest.mark.parametrize(
    ("error", "code"),
    [(ModelError("no answer"), "STEP_FAILED"), (BudgetExceededError("no answer"), "BUDGET_EXCEEDED")],
)
async def test_takeover_of_a_parallel_run_remembers_failures(stage: RunStage, error: Exception, code: str) -> None:
    """A step that failed under the worker before still makes the run fail, as it did, and is not tried again."""
    run = await stage.accept(BA, QA, mode=PARALLEL)
    worker = stage.work(run, stage.runner(delays_s=()))
    (await stage.call(BA)).fail(error)
    await stage.publisher.until(lambda line: line.type == "error")
    await cancelled(worker)
    second = stage.work(run)
    (await stage.call(QA, 2)).finish()
    await finished(second)
    record = await stage.check(run)
    assert (record.status, record.error_code) == (RunState.FAILED, code)
    assert (await stage.log(run))[-1].payload["message"] == "ba_consultant failed: no answer"
    assert len(stage.agents[BA].calls) == 1


async def test_run_of_a_lost_worker_continues_with_the_next_attempt(stage: RunStage) -> None:
    """Finished steps stay finished; the one that was under way begins again, at once also where it waited to."""
    run = await stage.accept(BA, QA)
    first = stage.work(run)
    (await stage.call(BA)).finish("# kept\n")
    (await stage.call(QA)).fail(ModelError("no answer"))
    await stage.publisher.until(lambda line: "retry_at" in line.payload)
    second = stage.work(run)
    call = await stage.call(QA, 2)
    step = (await stage.check(run)).steps[1]
    assert (step.status, step.attempt, step.retry_at) == (StepState.RUNNING, 2, None)
    assert [artifact.content for artifact in call.context.earlier] == ["# kept\n"]
    call.finish()
    await finished(second)
    stage.clock.advance(60)
    await finished(first)
    record = await stage.check(run)
    assert (record.status, record.total_tokens) == (RunState.COMPLETED, 14)
    assert [len(stage.agents[agent].calls) for agent in (BA, QA)] == [1, 2]


async def test_run_whose_workers_are_lost_again_and_again_is_given_up(stage: RunStage) -> None:
    """At the take-over after the third in a row without a completed step, it ends as INTERRUPTED; no agent begins."""
    run = await stage.accept(BA, QA)
    await lose(stage, run, 1 + MOST_TAKEOVERS)
    await finished(stage.work(run))
    record = await stage.check(run)
    message = "Its worker was lost 4 times without completing a step."
    assert (record.status, record.error_code, record.error_message) == (RunState.FAILED, "INTERRUPTED", message)
    assert [step.error_message for step in record.steps] == [f"not started: {message}"] * 2
    assert not stage.agents[BA].calls


async def test_run_taken_over_as_often_as_allowed_completes(stage: RunStage) -> None:
    """Three take-overs in a row are no reason to give up; a completed step begins the count anew."""
    run = await stage.accept(BA, QA)
    await lose(stage, run, MOST_TAKEOVERS)
    worker = stage.work(run)
    call = await stage.call(BA)
    assert (await stage.check(run)).takeovers == MOST_TAKEOVERS
    call.finish()
    await stage.call(QA)
    assert (await stage.check(run)).takeovers == 0
    await lose(stage, run, MOST_TAKEOVERS - 1)
    second = stage.work(run)
    (await stage.call(QA, 2)).finish()
    await finished(second)
    assert (await stage.check(run)).status is RunState.COMPLETED
    stage.agents[QA].calls[0].finish()
    await finished(worker)


async def test_worker_that_is_told_to_stop_hands_the_run_back(stage: RunStage) -> None:
    """A cancelled worker leaves no claim behind, and to go on with its run is no take-over."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    await stage.call(BA)
    assert not await free(stage.store, run)
    await cancelled(worker)
    assert worker.cancelled()
    assert await free(stage.store, run)
    await finished(stage.work(run, stage.runner(agents={BA: BusyAgent(BA)})))
    record = await stage.check(run)
    assert (record.status, record.takeovers) == (RunState.COMPLETED, 0)


async def test_takeover_is_counted_by_the_worker_that_goes_on(stage: RunStage) -> None:
    """Once a run whose worker was lost, also where it is given up; not one that is new or handed back, even twice."""
    busy = stage.runner(agents={BA: BusyAgent(BA)})
    handed_back, lost, hopeless = [await stage.accept(BA) for _ in range(3)]
    worker = stage.work(handed_back)
    await stage.call(BA)
    await cancelled(worker)
    await finished(stage.work(handed_back, busy))
    assert stage.counts.takeovers == 0
    await lose(stage, lost, 1)
    worker = stage.work(lost)
    await stage.call(BA, 2)
    await cancelled(worker)
    await finished(stage.work(lost, busy))
    assert stage.counts.takeovers == 1
    await lose(stage, hopeless, 1 + MOST_TAKEOVERS)
    await finished(stage.work(hopeless, busy))
    assert stage.counts.takeovers == 2
