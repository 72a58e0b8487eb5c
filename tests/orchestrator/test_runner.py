"""One run from claim to terminal event, over the real store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from run_stage import (
    AUTOMATION,
    BA,
    QA,
    BusyAgent,
    Line,
    RunStage,
    Through,
    finished,
    turns,
)

from orchestrator.errors import BudgetExceededError, ModelError
from orchestrator.events import Fact
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.records import Artifact, Claim, Document, SavedEvent
from orchestrator.states import RunState, StepState

PARALLEL = PipelineMode.PARALLEL
MODES = pytest.mark.parametrize("mode", list(PipelineMode))


def outline(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Type and agent of each event; the terminal event has none."""
    return [(line.type, line.payload.get("agent_type", "")) for line in lines]


async def test_sequential_run_goes_in_the_order_selected(stage: RunStage) -> None:
    """Each agent starts when the one before it is done, in the order selected, and reads documents and artifacts."""
    run = await stage.accept(QA, AUTOMATION, BA)
    worker = stage.work(run)
    earlier: list[str] = []
    for agent_type in (QA, AUTOMATION, BA):
        call = await stage.call(agent_type)
        assert [document.path for document in call.context.documents] == ["a.md", "b.md"]
        assert call.context.documents[1].text == "The system MUST answer."
        assert [artifact.content for artifact in call.context.earlier] == earlier
        assert sum(len(agent.calls) for agent in stage.agents.values()) == len(earlier) + 1
        earlier.append(f"# by {agent_type}\n")
        call.finish(earlier[-1], tokens=10)
    await finished(worker)
    record = await stage.check(run)
    assert outline(await stage.log(run)) == [
        ("queued", QA),
        ("queued", AUTOMATION),
        ("queued", BA),
        ("running", QA),
        ("complete", QA),
        ("running", AUTOMATION),
        ("complete", AUTOMATION),
        ("running", BA),
        ("complete", BA),
        ("complete", ""),
    ]
    assert (await stage.log(run))[-1].payload == {"run_id": run.id, "all_done": True}
    assert record.status is RunState.COMPLETED
    assert record.total_tokens == 30


async def test_parallel_run_goes_side_by_side(stage: RunStage) -> None:
    """All agents work at once, none reads another's artifact, and the run ends with the last of them."""
    run = await stage.accept(mode=PARALLEL)
    worker = stage.work(run)
    calls = [await stage.call(agent_type) for agent_type in AGENT_TYPES]
    for call in reversed(calls):
        assert call.context.earlier == ()
        assert not worker.done()
        call.finish()
    await finished(worker)
    record = await stage.check(run)
    assert record.status is RunState.COMPLETED
    assert outline(await stage.log(run))[3:6] == [("running", agent_type) for agent_type in AGENT_TYPES]
    assert (await stage.log(run))[-1].payload == {"run_id": run.id, "all_done": True}


async def test_sequential_step_that_fails_ends_the_run(stage: RunStage) -> None:
    """Later steps are told as not started, then the run ends as failed; finished work stays."""
    run = await stage.accept()
    worker = stage.work(run, stage.runner(delays_s=()))
    (await stage.call(BA)).finish()
    (await stage.call(QA)).fail(ModelError("no answer"))
    await finished(worker)
    record = await stage.check(run)
    log = await stage.log(run)
    assert outline(log)[-3:] == [("error", QA), ("error", AUTOMATION), ("complete", "")]
    assert log[-3].payload == {
        "step_id": run.steps[1].id,
        "agent_type": QA,
        "error_code": "STEP_FAILED",
        "message": "no answer",
    }
    assert log[-2].payload == {
        "step_id": run.steps[2].id,
        "agent_type": AUTOMATION,
        "error_code": "STEP_CANCELLED",
        "message": "not started: qa_consultant failed",
    }
    assert log[-1].payload == {
        "run_id": run.id,
        "all_done": True,
        "error": True,
        "error_code": "STEP_FAILED",
        "message": "qa_consultant failed: no answer",
    }
    assert record.status is RunState.FAILED
    assert [step.status for step in record.steps] == [StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED]
    assert len(await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id)) == 1
    assert not stage.agents[AUTOMATION].calls


async def test_parallel_step_that_fails_stops_no_other(stage: RunStage) -> None:
    """The failure is told at once, the others go on, and the run ends as failed when all are done."""
    run = await stage.accept(mode=PARALLEL)
    worker = stage.work(run, stage.runner(delays_s=()))
    (await stage.call(QA)).fail(ModelError("no answer"))
    await stage.publisher.until(lambda line: line.type == "error")
    (await stage.call(BA)).finish()
    (await stage.call(AUTOMATION)).finish()
    await finished(worker)
    record = await stage.check(run)
    assert [step.status for step in record.steps] == [StepState.COMPLETED, StepState.FAILED, StepState.COMPLETED]
    assert (record.status, record.error_code) == (RunState.FAILED, "STEP_FAILED")


@MODES
async def test_budget_exceeded_ends_the_run_with_its_reason(stage: RunStage, mode: PipelineMode) -> None:
    """A step without budget is not tried again; both it and the run say BUDGET_EXCEEDED."""
    run = await stage.accept(BA, QA, mode=mode)
    worker = stage.work(run)
    (await stage.call(BA)).fail(BudgetExceededError("all used up"))
    if mode is PARALLEL:
        (await stage.call(QA)).finish()
    await finished(worker)
    record = await stage.check(run)
    log = await stage.log(run)
    error = next(line for line in log if line.type == "error")
    assert (error.payload["error_code"], error.payload["reason"]) == ("STEP_FAILED", "BUDGET_EXCEEDED")
    assert (log[-1].payload["error"], log[-1].payload["error_code"]) == (True, "BUDGET_EXCEEDED")
    assert (record.status, record.error_code) == (RunState.FAILED, "BUDGET_EXCEEDED")
    assert len(stage.agents[BA].calls) == 1


async def test_run_outside_its_steps_fails_and_is_interrupted(stage: RunStage) -> None:
    """When something nobody foresaw happens, every step and the run still get their end, without the error's text."""

    class Unreadable:
        async def list_documents(self, *args: Any, **options: Any) -> tuple[Document, ...]:
            raise LookupError("secret details")

    run = await stage.accept(BA, QA)
    await finished(stage.work(run, stage.runner(documents=Unreadable())))
    record = await stage.check(run)
    log = await stage.log(run)
    assert outline(log)[2:] == [("error", BA), ("error", QA), ("complete", "")]
    assert log[-1].payload["error_code"] == "INTERRUPTED"
    assert log[2].payload["error_code"] == "STEP_CANCELLED"
    assert "secret" not in repr(log)
    assert record.status is RunState.FAILED


@MODES
async def test_unknown_agent_is_interrupted(stage: RunStage, mode: PipelineMode) -> None:
    """A run whose agent this release does not have ends all the same."""
    run = await stage.accept(BA, QA, mode=mode)
    await finished(stage.work(run, stage.runner(agents={BA: BusyAgent(BA)})))
    record = await stage.check(run)
    assert (record.status, record.error_code) == (RunState.FAILED, "INTERRUPTED")


async def test_ended_or_unknown_run_is_left_alone(stage: RunStage) -> None:
    """Working on a run that has ended, or that there is none of, does nothing."""
    run = await stage.accept(BA)
    runner = stage.runner(agents={BA: BusyAgent(BA)})
    await finished(stage.work(run, runner))
    before = await stage.log(run)
    await runner.run(Claim(stage.tenant, run.id, "late"))
    await runner.run(Claim(stage.tenant, "3b0c9a4e-6a0e-4a5f-8a55-1a3c9a1f0f10", "late"))
    await runner.run(Claim("nobody", run.id, "late"))
    assert await stage.log(run) == before


@pytest.mark.parametrize("seed", range(24))
async def test_worker_cancelled_anywhere_leaves_a_log_to_continue(stage: RunStage, seed: int) -> None:
    """Invariant 2: wherever a worker is cancelled, what is saved is published, and the next goes on without gap."""
    rng = random.Random(seed)

    class Counting(Through):
        """Cancels the worker some turns after it has asked for its n-th save."""

        left = rng.randrange(1, 12)
        delay = rng.choice([0, 0, 1, 2, 5, 20, 80])
        reaction: asyncio.Task[None] | None = None

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            stage.clock.advance(1)
            self.left -= 1
            if self.left == 0:
                self.reaction = asyncio.create_task(self.react())
            return await super().save(tenant, run_id, token, facts, artifacts)

        async def react(self) -> None:
            await turns(self.delay)
            worker.cancel()

    run = await stage.accept(mode=rng.choice(list(PipelineMode)))
    agents = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}
    for _ in range(3):
        faulty = Counting(stage.store.runs)
        worker = stage.work(run, stage.runner(runs=faulty, agents=agents))
        await asyncio.wait({worker}, timeout=10)
        assert worker.done()
        if faulty.reaction is not None:
            await faulty.reaction
        before = await stage.check(run)
        if worker.cancelled():
            assert before.status is not RunState.FAILED
    await finished(stage.work(run, stage.runner(agents=agents)))
    record = await stage.check(run)
    assert record.status is RunState.COMPLETED
    assert sum(line.payload.get("all_done", False) for line in await stage.log(run)) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_parallel_steps_publish_in_commit_order(stage: RunStage, seed: int) -> None:
    """Invariant 2: however long each commit takes, the ids published are 1, 2, 3 … and no two saves overlap."""
    rng = random.Random(seed)

    class Delayed(Through):
        under_way = 0

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            self.under_way += 1
            assert self.under_way == 1
            await turns(rng.randrange(30))
            saved = await super().save(tenant, run_id, token, facts, artifacts)
            await turns(rng.randrange(30))
            self.under_way -= 1
            stage.clock.advance(1)
            return saved

    run = await stage.accept(mode=PARALLEL)
    agents = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}
    await finished(stage.work(run, stage.runner(runs=Delayed(stage.store.runs), agents=agents)))
    record = await stage.check(run)
    assert [event.id for event in stage.publisher.events] == list(range(1, record.last_event_id + 1))
    assert record.status is RunState.COMPLETED
    assert len(stage.publisher.events) > 10
