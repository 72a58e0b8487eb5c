"""One step: attempts, waits between them, and what comes out; over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from run_stage import BA, QA, BusyAgent, Line, RunStage, Through, cancelled, finished, result

from orchestrator.errors import BudgetExceededError, ModelError, StoreError
from orchestrator.events import Fact, StepComplete, StepRunning
from orchestrator.pipeline import PipelineMode
from orchestrator.ports import AgentResult
from orchestrator.progress import INTERVAL_S
from orchestrator.records import Artifact, SavedEvent
from orchestrator.retry import STORE_RETRY_S
from orchestrator.states import RunState, StepState

LABEL = "Agent ba_consultant is analyzing your project..."


def progress(line: Line) -> tuple[int, int, str]:
    """Attempt, percentage and label of a ``running`` event."""
    return line.payload["attempt"], line.payload["progress_pct"], line.payload["progress_label"]


async def test_first_running_event_has_the_promised_fields(stage: RunStage) -> None:
    """A step starts at 0 percent, in its first attempt, with the label that clients may rely on, and nothing else."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    line = await stage.publisher.until_running(0)
    assert line.payload == {
        "step_id": run.steps[0].id,
        "agent_type": BA,
        "progress_pct": 0,
        "progress_label": LABEL,
        "attempt": 1,
    }
    await cancelled(worker)


async def test_success_keeps_the_artifact_with_its_event(stage: RunStage) -> None:
    """The ``complete`` event names the artifact, its tokens and the attempt's time; the artifact is readable."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    call = await stage.call(BA)
    stage.clock.advance(1.5)
    call.finish("# Matrix\n", tokens=42)
    line = await stage.publisher.until(lambda line: line.type == "complete")
    await finished(worker)
    artifact_id = line.payload.pop("artifact_id")
    assert line.payload == {
        "step_id": run.steps[0].id,
        "agent_type": BA,
        "tokens_used": 42,
        "duration_ms": 1500,
        "cached": False,
        "reused": False,
    }
    artifact = await stage.store.runs.get_artifact(stage.tenant, stage.project_id, artifact_id)
    assert artifact is not None
    assert (artifact.run_id, artifact.step_id, artifact.content) == (run.id, run.steps[0].id, "# Matrix\n")
    assert artifact.created_at


async def test_failures_are_retried_after_5_10_and_20_seconds(stage: RunStage) -> None:
    """By default there are four attempts; each wait says until when and why; no attempt's progress falls."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    until = ["09:30:05.000Z", "09:30:15.000Z", "09:30:35.000Z"]
    for number, (delay_s, retry_at) in enumerate(zip([5, 10, 20], until, strict=True), start=1):
        call = await stage.call(BA, number)
        call.report(10 * number, "reading")
        await stage.publisher.until_running(10 * number)
        call.fail(ModelError(f"no answer {number}"))
        waiting = await stage.publisher.until(lambda line, n=number: line.payload.get("reason") == f"no answer {n}")
        assert waiting.payload == {
            "step_id": run.steps[0].id,
            "agent_type": BA,
            "progress_pct": 10 * number,
            "progress_label": f"Attempt {number} failed, trying again in {delay_s} s",
            "attempt": number,
            "retry_at": f"2026-02-28T{retry_at}",
            "reason": f"no answer {number}",
        }
        assert waiting.type == "running"
        await stage.clock.naps.until(lambda nap, s=delay_s: nap == s)
        stage.clock.advance(delay_s - 0.001)
        assert len(stage.agents[BA].calls) == number
        stage.clock.advance(0.001)
    (await stage.call(BA, 4)).finish()
    await finished(worker)
    record = await stage.check(run)
    assert (record.status, record.steps[0].attempt) == (RunState.COMPLETED, 4)
    told = [progress(line) for line in await stage.log(run) if line.type == "running"]
    assert [(attempt, percent) for attempt, percent, _ in told] == sorted(
        (attempt, percent) for attempt, percent, _ in told
    )


async def test_last_failure_is_the_steps_end(stage: RunStage) -> None:
    """After the last retry the step fails with the last error, without another wait."""
    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(delays_s=(3,)))
    (await stage.call(BA, 1)).fail(ModelError("first"))
    await stage.clock.naps.until(lambda nap: nap == 3)
    stage.clock.advance(3)
    (await stage.call(BA, 2)).fail(ModelError("second"))
    await finished(worker)
    record = await stage.check(run)
    assert (record.steps[0].error_code, record.steps[0].error_message) == ("STEP_FAILED", "second")
    assert stage.clock.naps == [3]
    log = await stage.log(run)
    assert [line.type for line in log] == ["queued", "running", "running", "running", "error", "complete"]
    assert (log[-1].payload["error"], log[-1].payload["error_code"]) == (True, "STEP_FAILED")


async def test_budget_exceeded_is_never_retried(stage: RunStage) -> None:
    """A step that may not spend more fails at once and says why."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    (await stage.call(BA)).fail(BudgetExceededError("The month's 10 tokens are used up."))
    await finished(worker)
    error = next(line for line in await stage.log(run) if line.type == "error")
    assert error.payload == {
        "step_id": run.steps[0].id,
        "agent_type": BA,
        "error_code": "STEP_FAILED",
        "message": "The month's 10 tokens are used up.",
        "reason": "BUDGET_EXCEEDED",
    }
    assert stage.clock.naps == []


async def test_unexpected_exception_is_retried_and_does_not_leak(
    stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """Of an error that is not ours, viewers learn the kind only; the operator's log has all of it."""
    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(delays_s=(0,)))
    secret = RuntimeError("password=hunter2")
    (await stage.call(BA, 1)).fail(secret)
    (await stage.call(BA, 2)).fail(secret)
    await finished(worker)
    record = await stage.check(run)
    assert record.steps[0].error_message == "The agent failed unexpectedly (RuntimeError)."
    assert not any("hunter2" in event.payload for event in stage.publisher.events)
    assert [entry["exc_info"] for entry in logged] == [secret, secret]


@pytest.mark.parametrize("mode", list(PipelineMode))
async def test_agent_that_cancels_itself_is_a_failure_of_its_step(stage: RunStage, mode: PipelineMode) -> None:
    """An agent whose work is cancelled from inside fails; the run neither hangs nor counts it as done."""
    run = await stage.accept(BA, QA, mode=mode)
    worker = stage.work(run, stage.runner(delays_s=()))
    (await stage.call(BA)).outcome.cancel()
    if mode is PipelineMode.PARALLEL:
        (await stage.call(QA)).finish()
    await finished(worker)
    record = await stage.check(run)
    assert (record.status, record.error_code) == (RunState.FAILED, "STEP_FAILED")
    assert record.steps[0].status is StepState.FAILED


async def test_progress_is_saved_and_the_newest_within_an_interval_wins(stage: RunStage) -> None:
    """Reports within an interval are joined, the trailing one is saved when the interval is over."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    call = await stage.call(BA)
    call.report(10, "a")
    await stage.clock.naps.nth(1)
    call.report(20, "b")
    call.report(30, "c")
    stage.clock.advance(INTERVAL_S)
    await stage.publisher.until_running(30)
    await stage.clock.naps.nth(2)
    call.finish()
    await finished(worker)
    told = [progress(line) for line in await stage.log(run) if line.type == "running"]
    assert told == [(1, 0, LABEL), (1, 10, "a"), (1, 30, "c")]
    await stage.check(run)


async def test_progress_that_cannot_be_saved_is_tried_again(stage: RunStage) -> None:
    """When the store fails under a progress event the agent works on, and the progress is saved an interval later."""

    class FailsOnce(Through):
        failed = False

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            if isinstance(facts[0], StepRunning) and facts[0].progress_pct == 10 and not self.failed:
                self.failed = True
                raise StoreError("locked")
            return await super().save(tenant, run_id, token, facts, artifacts)

    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(runs=FailsOnce(stage.store.runs)))
    call = await stage.call(BA)
    call.report(10, "reading")
    await stage.clock.naps.nth(1)
    stage.clock.advance(INTERVAL_S)
    await stage.publisher.until_running(10)
    call.finish()
    await finished(worker)
    assert [line.type for line in await stage.log(run)] == ["queued", "running", "running", "complete", "complete"]
    assert (await stage.check(run)).status is RunState.COMPLETED


@pytest.mark.parametrize("commits", [True, False])
async def test_finished_step_that_cannot_be_saved_is_saved_later(stage: RunStage, *, commits: bool) -> None:
    """What an agent handed in is not thrown away: it is kept when the store works, once, also if it had been."""

    class Flaky(Through):
        outage = 0

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            if not isinstance(facts[0], StepComplete) or self.outage > 3:
                return await super().save(tenant, run_id, token, facts, artifacts)
            self.outage += 1
            if commits and self.outage == 1:
                await super().save(tenant, run_id, token, facts, artifacts)
            raise StoreError("connection lost")

        async def settled_events(self, *args: Any) -> tuple[SavedEvent, ...]:
            if self.outage == 1:
                self.outage = 2
                raise StoreError("connection refused")
            return await self.store.settled_events(*args)

    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(runs=Flaky(stage.store.runs)))
    (await stage.call(BA)).finish("# once\n")
    for number, delay_s in enumerate(STORE_RETRY_S[: 1 if commits else 3], start=1):
        assert await stage.clock.naps.nth(number) == delay_s
        stage.clock.advance(delay_s)
    await finished(worker)
    assert (await stage.check(run)).status is RunState.COMPLETED
    assert len(await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id)) == 1
    assert len(stage.agents[BA].calls) == 1


async def test_cancelled_worker_stops_its_agent(stage: RunStage) -> None:
    """When the worker is cancelled, the agent's work is cancelled too and has ended when the worker has."""
    begun, ended = asyncio.Event(), asyncio.Event()

    class Endless(BusyAgent):
        async def work(self, *args: Any) -> AgentResult:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return result()

    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(agents={BA: Endless(BA)}))
    await begun.wait()
    await cancelled(worker)
    assert ended.is_set()
    assert (await stage.check(run)).completed_at is None
