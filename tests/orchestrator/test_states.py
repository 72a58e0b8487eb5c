"""The transition tables of runs and steps."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.errors import IllegalTransitionError
from orchestrator.states import RUN_TRANSITIONS, STEP_TRANSITIONS, RunState, StepState, Trigger, advance

RUN_WAYS = {
    ("queued", "start"): "running",
    ("queued", "complete"): "completed",
    ("queued", "fail"): "failed",
    ("queued", "cancel"): "cancelled",
    ("running", "complete"): "completed",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
}
STEP_WAYS = RUN_WAYS | {("running", "start"): "running"}


@pytest.mark.parametrize(("state", "trigger"), list(product(RunState, Trigger)))
def test_run_goes_only_the_ways_of_its_table(state: RunState, trigger: Trigger) -> None:
    """Every state and trigger of a run leads where the specification says, or nowhere."""
    expected = RUN_WAYS.get((state.value, trigger.value))
    if expected is None:
        with pytest.raises(IllegalTransitionError):
            advance(RUN_TRANSITIONS, state, trigger)
    else:
        assert advance(RUN_TRANSITIONS, state, trigger) is RunState(expected)


@pytest.mark.parametrize(("state", "trigger"), list(product(StepState, Trigger)))
def test_step_goes_only_the_ways_of_its_table(state: StepState, trigger: Trigger) -> None:
    """Every state and trigger of a step leads where the specification says, or nowhere."""
    expected = STEP_WAYS.get((state.value, trigger.value))
    if expected is None:
        with pytest.raises(IllegalTransitionError):
            advance(STEP_TRANSITIONS, state, trigger)
    else:
        assert advance(STEP_TRANSITIONS, state, trigger) is StepState(expected)


def test_advance_without_a_way_says_what_is_possible() -> None:
    """The error names the state, what was tried, and what would be possible instead."""
    with pytest.raises(
        IllegalTransitionError, match="RunState 'running' cannot 'start'; possible: complete, fail, cancel"
    ):
        advance(RUN_TRANSITIONS, RunState.RUNNING, Trigger.START)
    with pytest.raises(IllegalTransitionError, match="StepState 'failed' cannot 'start'; possible: nothing"):
        advance(STEP_TRANSITIONS, StepState.FAILED, Trigger.START)
