"""A step that waits or stalls says so; over the real store."""

from __future__ import annotations

import pytest
from run_stage import BA, QA, RunStage, cancelled, finished
from store_material import as_snapshot

from orchestrator.errors import ModelError
from orchestrator.progress import INTERVAL_S, STALLED_S
from orchestrator.retry import LONGEST_ASKED_S
from orchestrator.states import RunState, StepState


async def test_permanent_failure_of_the_model_is_never_retried(stage: RunStage) -> None:
    """What another attempt cannot mend, such as a wrong key, fails the step at once with the model's words."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    (await stage.call(BA)).fail(ModelError("The key was refused.", permanent=True, retry_after_s=3))
    await finished(worker)
    step = (await stage.check(run)).steps[0]
    assert (step.status, step.error_message, step.attempt) == (StepState.FAILED, "The key was refused.", 1)
    assert stage.clock.naps == []


@pytest.mark.parametrize(
    ("asked_s", "waited_s"), [(None, 5), (2.0, 5), (30.0, 30), (LONGEST_ASKED_S, 120), (7200.0, 120)]
)
async def test_model_that_asks_for_time_gets_it_in_bounds(
    stage: RunStage, asked_s: float | None, waited_s: float
) -> None:
    """The wait is the longer of what is usual and what the model asks for, but never for hours; viewers are told."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    (await stage.call(BA)).fail(ModelError("too many requests", retry_after_s=asked_s))
    assert await stage.clock.naps.nth(1) == waited_s
    waiting = await stage.publisher.until(lambda line: "retry_at" in line.payload)
    assert waiting.payload["progress_label"] == f"Attempt 1 failed, trying again in {waited_s} s"
    assert waiting.payload["retry_at"] == f"2026-02-28T09:{30 + waited_s // 60:02}:{waited_s % 60:02}.000Z"
    stage.clock.advance(waited_s)
    (await stage.call(BA, 2)).finish()
    await finished(worker)
    assert (await stage.check(run)).status is RunState.COMPLETED


async def test_model_that_asks_for_time_gets_no_more_attempts(stage: RunStage) -> None:
    """After the last retry the step fails, whatever the model asks for."""
    run = await stage.accept(BA)
    worker = stage.work(run, stage.runner(delays_s=()))
    (await stage.call(BA)).fail(ModelError("too many requests", retry_after_s=1))
    await finished(worker)
    assert (await stage.check(run)).steps[0].status is StepState.FAILED


async def test_waiting_for_a_retry_is_shown_until_the_next_attempt(stage: RunStage) -> None:
    """While a step waits, rows and snapshot say until when and why; when it goes on, neither does."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    call = await stage.call(BA)
    call.report(40, "reading")
    await stage.publisher.until_running(40)
    call.fail(ModelError("no answer"))
    await stage.publisher.until(lambda line: "retry_at" in line.payload)
    step = as_snapshot(await stage.check(run)).steps[0]
    assert (step.status, step.progress_pct) == ("running", 40)
    assert (step.retry_at, step.reason) == ("2026-02-28T09:30:05.000Z", "no answer")
    await stage.clock.naps.until(lambda nap: nap == 5)
    stage.clock.advance(5)
    await stage.call(BA, 2)
    step = as_snapshot(await stage.check(run)).steps[0]
    assert (step.retry_at, step.reason, step.progress_pct, step.attempt) == (None, None, 0, 2)
    await cancelled(worker)


async def test_agent_without_progress_is_said_to_stall_until_the_next(stage: RunStage) -> None:
    """After 60 s viewers are told with a label that says so; rows and snapshot say it until something moves."""
    run = await stage.accept(BA)
    worker = stage.work(run)
    call = await stage.call(BA)
    call.report(10, "reading")
    await stage.publisher.until_running(10)
    await stage.clock.naps.nth(1)
    stage.clock.advance(INTERVAL_S)
    await stage.clock.patience.nth(2)
    stage.clock.advance(STALLED_S)
    stalled = await stage.publisher.until(lambda line: line.payload.get("stalled", False))
    assert stalled.payload["progress_pct"] == 10
    assert stalled.payload["progress_label"] == "reading (no progress for 60 s)"
    assert as_snapshot(await stage.check(run)).steps[0].stalled
    await stage.clock.naps.nth(2)
    stage.clock.advance(INTERVAL_S)
    call.report(20, "writing")
    moving = await stage.publisher.until_running(20)
    assert (moving.payload["progress_label"], "stalled" in moving.payload) == ("writing", False)
    assert not as_snapshot(await stage.check(run)).steps[0].stalled
    call.finish()
    await finished(worker)
    await stage.check(run)


async def test_agent_that_ends_while_it_stalls_leaves_no_mark(stage: RunStage) -> None:
    """A step that completes, or is tried again, does not stall any more."""
    run = await stage.accept(BA, QA)
    worker = stage.work(run)
    for number, agent_type in enumerate((BA, QA), start=1):
        call = await stage.call(agent_type)
        await stage.clock.patience.nth(number)
        stage.clock.advance(STALLED_S)
        await stage.publisher.until(
            lambda line, agent=agent_type: line.payload.get("stalled", False) and line.payload["agent_type"] == agent
        )
        if agent_type == BA:
            call.finish()
        else:
            call.fail(ModelError("no answer"))
    await stage.publisher.until(lambda line: "retry_at" in line.payload)
    assert [step.stalled for step in (await stage.check(run)).steps] == [False, False]
    await cancelled(worker)
