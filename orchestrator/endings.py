"""How a run ends that its own steps do not carry to its end. Pure: from the run as it stands to its last facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.events import INTERRUPTED, Fact, RunEnded, StepError
from orchestrator.records import RunRecord, StepRecord
from orchestrator.states import STEP_TRANSITIONS, StepState


def cancellation(run: RunRecord, cancelled_by: str) -> tuple[Fact, ...]:
    """The user ``cancelled_by`` does not want the run any more. What is finished stays."""
    return (*stopped(run.steps, "the run was cancelled"), RunEnded.cancellation(run.id, cancelled_by))


def interruption(run: RunRecord, message: str) -> tuple[Fact, ...]:
    """The run cannot go on, for a reason that is no step's failure: it is given up as it stands."""
    return (*stopped(run.steps, message), RunEnded.failure(run.id, INTERRUPTED, message))


def stopped(steps: Iterable[StepRecord], message: str) -> Iterator[StepError]:
    """The end of each of these steps that has not ended; its message says whether it had begun."""
    for step in steps:
        if STEP_TRANSITIONS[step.status]:
            begun = "not finished" if step.status is StepState.RUNNING else "not started"
            yield StepError(
                step_id=step.id,
                agent_type=step.agent_type,
                error_code="STEP_CANCELLED",
                message=f"{begun}: {message}",
            )
