"""Retrying runs: what was not completed is done again, what was is reused; over the real store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from run_stage import AUTOMATION, BA, QA, RunStage, Through, turns
from service_stage import BUSY, Service

from orchestrator.endings import cancellation
from orchestrator.errors import (
    BudgetExceededError,
    ModelError,
    NotRetriableError,
    RunIdConflictError,
    RunNotFoundError,
)
from orchestrator.events import Fact, RunEnded
from orchestrator.records import RunRecord
from orchestrator.service import Orchestrator
from orchestrator.states import RunState, StepState


class CancelledAtItsEnd(Through):
    """A store in which somebody cancels every run just when its worker would write its end."""

    async def save(self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], *artifacts: Any) -> Any:
        if isinstance(facts[-1], RunEnded):
            await self.store.end_run(tenant, run_id, lambda run: cancellation(run, "u1"))
        return await self.store.save(tenant, run_id, token, facts, *artifacts)


async def failed_run(service: Service, orchestrator: Orchestrator, **asked: object) -> RunRecord:
    """A run whose first agent left ``# by ba`` for 7 tokens, whose second failed, and whose third was not started."""
    run = await service.start(orchestrator, BA, QA, AUTOMATION, **asked)
    (await service.stage.call(BA)).finish("# by ba\n", tokens=7)
    (await service.stage.call(QA)).fail(ModelError("no answer"))
    if asked.get("pipeline_mode") == "parallel":
        (await service.stage.call(AUTOMATION)).finish("# by automation\n", tokens=3)
    record = await service.ended(run)
    assert record.status is RunState.FAILED
    return record


async def test_retry_of_a_sequential_run_goes_on_at_the_failed_step(service: Service, stage: RunStage) -> None:
    """Finished steps are complete from the start with the old artifact; the failed and later ones run and read it."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator, use_cache=False)
    again = await service.retry(orchestrator, first)
    assert (again.retry_of, again.started_by, again.use_cache) == (first.id, "u2", False)
    assert again.id != first.id
    assert {step.id for step in again.steps}.isdisjoint(step.id for step in first.steps)
    assert [step.status for step in again.steps] == [StepState.COMPLETED, StepState.QUEUED, StepState.QUEUED]

    call = await stage.call(QA, 2)
    assert [artifact.content for artifact in call.context.earlier] == ["# by ba\n"]
    call.finish("# by qa\n", tokens=5)
    (await stage.call(AUTOMATION)).finish("# by automation\n", tokens=3)
    record = await service.ended(again)
    assert (record.status, record.total_tokens) == (RunState.COMPLETED, 8)
    reused = record.steps[0]
    assert (reused.reused, reused.artifact_id, reused.tokens_used) == (True, first.steps[0].artifact_id, 0)
    left = await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, again.id, with_content=True)
    assert {artifact.content for artifact in left} == {"# by ba\n", "# by qa\n", "# by automation\n"}
    assert len(stage.agents[BA].calls) == 1
    assert await service.get(first) == first


async def test_retry_tells_viewers_the_plan_and_then_what_is_reused(service: Service, stage: RunStage) -> None:
    """The log of the new run begins with all ``queued`` events, then one ``complete`` for each reused step."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator)
    again = await service.retry(orchestrator, first)
    await stage.call(QA, 2)
    log = await stage.log(again)
    assert [line.type for line in log] == ["queued", "queued", "queued", "complete", "running"]
    assert log[3].payload == {
        "step_id": again.steps[0].id,
        "agent_type": BA,
        "tokens_used": 0,
        "artifact_id": first.steps[0].artifact_id,
        "duration_ms": 0,
        "cached": False,
        "reused": True,
    }


async def test_retry_of_a_parallel_run_runs_only_what_failed(service: Service, stage: RunStage) -> None:
    """Of steps side by side, those that completed are reused wherever they stand in the plan."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator, pipeline_mode="parallel")
    again = await service.retry(orchestrator, first)
    assert [step.reused for step in again.steps] == [True, False, True]
    call = await stage.call(QA, 2)
    assert call.context.earlier == ()
    call.finish()
    assert (await service.ended(again)).status is RunState.COMPLETED
    assert [len(stage.agents[agent].calls) for agent in (BA, QA, AUTOMATION)] == [1, 2, 1]


async def test_retry_of_a_retry_reuses_the_artifacts_of_both(service: Service, stage: RunStage) -> None:
    """What the first run completed and what its retry did are both there for the next, linked to the run retried."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator)
    second = await service.retry(orchestrator, first)
    (await stage.call(QA, 2)).finish("# by qa\n")
    (await stage.call(AUTOMATION)).fail(ModelError("no answer"))
    await service.ended(second)
    third = await service.retry(orchestrator, second)
    assert third.retry_of == second.id
    call = await stage.call(AUTOMATION, 2)
    assert [artifact.content for artifact in call.context.earlier] == ["# by ba\n", "# by qa\n"]
    call.finish()
    record = await service.ended(third)
    assert (record.status, [step.reused for step in record.steps]) == (RunState.COMPLETED, [True, True, False])
    assert len(await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, third.id)) == 3


async def test_retry_of_a_cancelled_run_does_the_rest(service: Service, stage: RunStage) -> None:
    """A run that somebody cancelled can be taken up again where it was."""
    orchestrator = await service.open()
    run = await service.start(orchestrator, BA, QA)
    (await stage.call(BA)).finish()
    await stage.call(QA)
    cancelled = await orchestrator.cancel_run(stage.tenant, run.id, "u1")
    again = await service.retry(orchestrator, cancelled)
    (await stage.call(QA, 2)).finish()
    record = await service.ended(again)
    assert (record.status, record.cancelled_by) == (RunState.COMPLETED, None)
    assert len(stage.agents[BA].calls) == 1


async def test_retry_of_a_run_whose_every_step_completed_completes_at_once(service: Service, stage: RunStage) -> None:
    """A run that was ended between its last step and its own end needs no agent any more."""
    orchestrator = await service.open()
    run = await stage.accept(BA, QA)
    await stage.work(run, stage.runner(agents=BUSY, runs=CancelledAtItsEnd(stage.store.runs)))
    first = await service.get(run)
    assert (first.status, first.error_code) == (RunState.CANCELLED, "CANCELLED")
    assert {step.status for step in first.steps} == {StepState.COMPLETED}
    again = await service.ended(await service.retry(orchestrator, first))
    assert (again.status, again.started_at, again.total_tokens) == (RunState.COMPLETED, None, 0)
    assert not any(agent.calls for agent in stage.agents.values())
    assert [line.type for line in await stage.log(again)] == ["queued", "queued", "complete", "complete", "complete"]


async def test_retry_again_with_its_id_starts_nothing(service: Service, stage: RunStage) -> None:
    """The same request is answered with the same run; its id cannot stand for the retry of another run."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator)
    retry_id = str(uuid4())
    again = await service.retry(orchestrator, first, retry_id)
    assert again.id == retry_id
    await stage.call(QA, 2)
    repeated = await service.retry(orchestrator, first, retry_id)
    assert [step.id for step in repeated.steps] == [step.id for step in again.steps]
    await turns(20)
    assert len(stage.agents[QA].calls) == 2
    ended = await orchestrator.cancel_run(stage.tenant, again.id, "u1")
    with pytest.raises(RunIdConflictError):
        await service.retry(orchestrator, ended, retry_id)
    with pytest.raises(RunIdConflictError):
        await service.start(orchestrator, BA, QA, AUTOMATION, run_id=retry_id)


async def test_retry_of_what_cannot_be_retried_is_refused(service: Service, stage: RunStage) -> None:
    """A run that is not there, has not ended, or succeeded; each says what would be needed."""
    orchestrator = await service.open()
    running = await service.start(orchestrator, BA)
    with pytest.raises(NotRetriableError, match="expected it to have ended"):
        await service.retry(orchestrator, running)
    (await stage.call(BA)).finish()
    completed = await service.ended(running)
    with pytest.raises(NotRetriableError, match="expected one that failed or was cancelled"):
        await service.retry(orchestrator, completed)
    with pytest.raises(RunNotFoundError):
        await orchestrator.retry_run(stage.tenant, str(uuid4()), retry_id=None, started_by="u2")
    with pytest.raises(RunNotFoundError):
        await orchestrator.retry_run("another", completed.id, retry_id=None, started_by="u2")
    assert await stage.store.runs.unfinished_runs() == ()


async def test_retry_without_budget_is_refused(service: Service, stage: RunStage) -> None:
    """To do again what failed costs tokens like a new run, and needs some left."""
    orchestrator = await service.open(delays_s=())
    first = await failed_run(service, orchestrator)
    await stage.spend(100)
    with pytest.raises(BudgetExceededError):
        await service.retry(orchestrator, first)
