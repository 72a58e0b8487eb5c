"""Cancelling runs: from anywhere, at any time; over the real store."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import uuid4

import pytest
from run_stage import AUTOMATION, BA, QA, BusyAgent, RunStage, Through, finished, turns
from service_stage import BUSY, Service
from store_material import as_snapshot

from orchestrator.errors import ModelError, RunNotFoundError
from orchestrator.lease import LOOK_S
from orchestrator.pipeline import PipelineMode
from orchestrator.ports import AgentResult
from orchestrator.records import RunRecord
from orchestrator.states import RunState, StepState


async def test_cancel_run_under_way_ends_it_and_interrupts_its_agent(service: Service, stage: RunStage) -> None:
    """What is finished stays, the agent is cancelled at once, and row, snapshot and event say who did it."""
    orchestrator = await service.open()
    run = await service.start(orchestrator, BA, QA, AUTOMATION)
    (await stage.call(BA)).finish("# kept\n", tokens=7)
    call = await stage.call(QA)
    ended = await orchestrator.cancel_run(stage.tenant, run.id, "u2")
    assert (ended.status, ended.error_code, ended.cancelled_by) == (RunState.CANCELLED, "CANCELLED", "u2")
    with pytest.raises(asyncio.CancelledError):
        await call.outcome

    record = await stage.check(run)
    assert as_snapshot(record).cancelled_by == "u2"
    assert [step.status for step in record.steps] == [
        StepState.COMPLETED,
        StepState.CANCELLED,
        StepState.CANCELLED,
    ]
    assert [step.error_code for step in record.steps] == [None, "STEP_CANCELLED", "STEP_CANCELLED"]
    assert [step.error_message for step in record.steps[1:]] == [
        "not finished: the run was cancelled",
        "not started: the run was cancelled",
    ]
    assert (await stage.log(run))[-1].payload == {
        "run_id": run.id,
        "all_done": True,
        "error": True,
        "error_code": "CANCELLED",
        "message": "The run was cancelled.",
        "cancelled_by": "u2",
    }
    assert len(await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id)) == 1
    assert record.total_tokens == 7


async def test_cancel_parallel_run_interrupts_all_its_agents(service: Service, stage: RunStage) -> None:
    """Agents that work side by side are cancelled together."""
    orchestrator = await service.open()
    run = await service.start(orchestrator, BA, QA, pipeline_mode="parallel")
    calls = [await stage.call(BA), await stage.call(QA)]
    await orchestrator.cancel_run(stage.tenant, run.id, "u2")
    await asyncio.wait([call.outcome for call in calls], timeout=10)
    assert all(call.outcome.cancelled() for call in calls)
    assert (await stage.check(run)).status is RunState.CANCELLED


async def test_cancel_run_that_waits_for_a_retry_ends_the_wait(service: Service, stage: RunStage) -> None:
    """A step between two attempts is cancelled like any other, and is not tried again."""
    orchestrator = await service.open()
    run = await service.start(orchestrator, BA)
    (await stage.call(BA)).fail(ModelError("no answer"))
    await stage.clock.naps.nth(1)
    ended = await orchestrator.cancel_run(stage.tenant, run.id, "u2")
    assert (ended.steps[0].status, ended.steps[0].retry_at) == (StepState.CANCELLED, None)
    stage.clock.advance(60)
    await turns(50)
    assert len(stage.agents[BA].calls) == 1
    await stage.check(run)


async def test_cancel_queued_run_ends_it_before_it_begins(service: Service, stage: RunStage) -> None:
    """A run that waits for a place ends at once; when there is room, no agent of it begins."""
    orchestrator = await service.open(max_runs_at_once=1)
    first, waiting = await service.start(orchestrator, BA), await service.start(orchestrator, QA)
    call = await stage.call(BA)
    ended = await orchestrator.cancel_run(stage.tenant, waiting.id, "u2")
    assert (ended.status, ended.started_at) == (RunState.CANCELLED, None)
    call.finish()
    assert (await service.ended(first)).status is RunState.COMPLETED
    await turns(50)
    assert not stage.agents[QA].calls
    assert (await service.get(waiting)).last_event_id == 3


async def test_cancel_run_that_has_ended_changes_nothing(service: Service, stage: RunStage) -> None:
    """A run stays as it ended, completed or cancelled by somebody else; nobody is told anything."""
    orchestrator = await service.open(agents=BUSY | {QA: stage.agents[QA]})
    completed = await service.ended(await service.start(orchestrator, BA))
    cancelled = await service.start(orchestrator, QA)
    await orchestrator.cancel_run(stage.tenant, cancelled.id, "u2")
    told = len(stage.publisher.events)
    for run, by in ((completed, None), (cancelled, "u2")):
        again = await orchestrator.cancel_run(stage.tenant, run.id, "u3")
        assert again.cancelled_by == by
        assert again == await service.get(run)
    assert len(stage.publisher.events) == told


async def test_cancel_run_that_is_not_there_is_refused(service: Service, stage: RunStage) -> None:
    """A run that does not exist, or is another tenant's, cannot be cancelled."""
    orchestrator = await service.open()
    run = await service.start(orchestrator)
    for tenant, run_id in ((stage.tenant, str(uuid4())), ("another", run.id)):
        with pytest.raises(RunNotFoundError):
            await orchestrator.cancel_run(tenant, run_id, "u2")
    assert (await service.get(run)).completed_at is None


async def test_cancel_from_another_process_reaches_the_worker_within_a_look(
    service: Service, stage: RunStage
) -> None:
    """Whoever works on the run, the canceller writes its end; the worker stops its agent at its next look."""
    run = await service.start(await service.open(alone=False))
    call = await stage.call(BA)
    elsewhere = await service.open(alone=False, max_runs_at_once=1)
    await elsewhere.cancel_run(stage.tenant, run.id, "u2")
    assert not call.outcome.done()
    stage.lease_clock.advance(LOOK_S)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await call.outcome
    assert (await stage.check(run)).status is RunState.CANCELLED


async def test_cancel_while_the_worker_is_frozen_leaves_it_nothing_to_write(
    service: Service, stage: RunStage
) -> None:
    """A worker that does not notice, and hands in its work later, changes nothing and tells nobody."""
    run = await service.start(await service.open(alone=False))
    call = await stage.call(BA)
    elsewhere = await service.open(alone=False)
    await elsewhere.cancel_run(stage.tenant, run.id, "u2")
    before = await stage.log(run)
    call.finish()
    await turns(100)
    assert await stage.log(run) == stage.publisher.lines == before
    assert await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id) == ()


async def test_cancel_with_an_agent_that_is_slow_to_stop_does_not_wait_for_it(
    service: Service, stage: RunStage
) -> None:
    """The run has ended when the call returns; its place is free again when the agent is done tidying up."""
    stopping, release = asyncio.Event(), asyncio.Event()

    class Slow(BusyAgent):
        async def work(self, *args: Any) -> AgentResult:
            try:
                return await super().work(*args)
            finally:
                stopping.set()
                await release.wait()

    orchestrator = await service.open(agents=BUSY | {QA: Slow(QA)}, max_runs_at_once=1)
    run = await service.start(orchestrator, QA)
    await stage.publisher.until_running(0)
    assert (await orchestrator.cancel_run(stage.tenant, run.id, "u2")).status is RunState.CANCELLED
    await finished(asyncio.ensure_future(stopping.wait()))
    following = await service.start(orchestrator, BA)
    await turns(50)
    assert (await service.get(following)).status is RunState.QUEUED
    release.set()
    assert (await service.ended(following)).status is RunState.COMPLETED


@pytest.mark.parametrize("seed", range(16))
async def test_cancel_at_any_moment_has_one_winner(service: Service, stage: RunStage, seed: int) -> None:
    """However a cancellation and the run's own end cross, there is one terminal event, and all agree on it."""
    dice = random.Random(seed)

    class Crossing(Through):
        """Cancels the run some turns after its n-th save was asked for."""

        left = dice.randrange(1, 12)
        delay = dice.choice([0, 1, 3, 10, 40])
        answer: asyncio.Task[RunRecord] | None = None

        async def save(self, *args: Any) -> Any:
            stage.clock.advance(1)
            self.left -= 1
            if self.left == 0:
                self.answer = asyncio.create_task(self.cancel())
            return await self.store.save(*args)

        async def cancel(self) -> RunRecord:
            await turns(self.delay)
            return await orchestrator.cancel_run(stage.tenant, run_id, "u2")

    runs = Crossing(stage.store.runs)
    run_id = str(uuid4())
    orchestrator = await service.open(runs=runs, agents=BUSY)
    mode = dice.choice(list(PipelineMode))
    run = await service.start(orchestrator, BA, QA, AUTOMATION, pipeline_mode=mode.value, run_id=run_id)
    record = await service.ended(run)
    log = await stage.log(run)
    assert [line.payload.get("all_done", False) for line in log].index(True) == len(log) - 1
    if runs.answer is not None:
        assert (await finished(runs.answer)).status is record.status
    assert record.status in {RunState.COMPLETED, RunState.CANCELLED}
    await stage.publisher.events.nth(len(log))
    assert sorted(stage.publisher.lines) == log
