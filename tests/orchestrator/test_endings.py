"""How runs end that their own steps do not carry to their end."""

from __future__ import annotations

import pytest

from orchestrator.endings import cancellation, interruption, stopped
from orchestrator.events import RunEnded, StepError
from orchestrator.pipeline import PipelineMode
from orchestrator.records import RunRecord, StepRecord
from orchestrator.states import RunState, StepState

AT = "2026-02-28T09:30:00.000Z"


def step(status: StepState) -> StepRecord:
    """A step in that state."""
    return StepRecord(
        id=f"id-{status}",
        agent_type=f"agent-{status}",
        position=1,
        status=status,
        progress_pct=0,
        progress_label=None,
        attempt=0,
        tokens_used=0,
        artifact_id=None,
        error_code=None,
        error_message=None,
        started_at=None,
        completed_at=None,
    )


def run_of(*states: StepState) -> RunRecord:
    """A run with a step in each of these states."""
    return RunRecord(
        id="r",
        project_id="p",
        status=RunState.RUNNING,
        pipeline_mode=PipelineMode.PARALLEL,
        agents_selected=tuple(f"agent-{state}" for state in states),
        steps=tuple(step(state) for state in states),
        last_event_id=9,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by="u1",
        created_at=AT,
        started_at=AT,
        completed_at=None,
    )


def stop(state: StepState, message: str) -> StepError:
    """The end of the step in that state."""
    return StepError(step_id=f"id-{state}", agent_type=f"agent-{state}", error_code="STEP_CANCELLED", message=message)


def test_stopped_ends_what_has_not_ended_in_order() -> None:
    """Each unfinished step gets one end, which says whether it had begun; the others get none."""
    assert list(stopped(run_of(*reversed(StepState)).steps, "qa_consultant failed")) == [
        stop(StepState.RUNNING, "not finished: qa_consultant failed"),
        stop(StepState.QUEUED, "not started: qa_consultant failed"),
    ]


@pytest.mark.parametrize("states", [(), (StepState.COMPLETED,), (StepState.COMPLETED, StepState.FAILED)])
def test_run_without_unfinished_steps_only_ends(states: tuple[StepState, ...]) -> None:
    """Where nothing is left to stop, the terminal event is all."""
    assert cancellation(run_of(*states), "u2") == (RunEnded.cancellation("r", "u2"),)


def test_cancellation_stops_the_steps_and_says_who_wanted_it() -> None:
    """The terminal event is the last, with the code CANCELLED and the user who cancelled."""
    *stops, end = cancellation(run_of(StepState.COMPLETED, StepState.RUNNING, StepState.QUEUED), "u2")
    assert stops == [
        stop(StepState.RUNNING, "not finished: the run was cancelled"),
        stop(StepState.QUEUED, "not started: the run was cancelled"),
    ]
    assert isinstance(end, RunEnded)
    assert (end.error_code, end.message, end.cancelled_by) == ("CANCELLED", "The run was cancelled.", "u2")


def test_interruption_stops_the_steps_and_says_why() -> None:
    """The terminal event is the last, with the code INTERRUPTED and the reason, which every step repeats."""
    assert interruption(run_of(StepState.RUNNING, StepState.FAILED), "It could not be kept.") == (
        stop(StepState.RUNNING, "not finished: It could not be kept."),
        RunEnded.failure("r", "INTERRUPTED", "It could not be kept."),
    )
