"""What a run and a step can be, and the only ways from one state to the next.

run    queued ──start──▶ running ──complete──▶ completed
         │                  ├──────fail──────▶ failed
         │                  └─────cancel─────▶ cancelled
         └──fail, cancel, complete (every step reused)

step   queued ──start──▶ running ──complete──▶ completed
         │                ▲ │└──────fail─────▶ failed
         │                └─┘└─────cancel────▶ cancelled
         └──fail, cancel, complete (reused)   start again: progress, or the next attempt
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from orchestrator.errors import IllegalTransitionError


class RunState(StrEnum):
    """Status of a run, as stored and as sent."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Status of a step, as stored and as sent."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What can happen to a run or a step."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


RUN_TRANSITIONS: dict[RunState, dict[Trigger, RunState]] = {
    RunState.QUEUED: {
        Trigger.START: RunState.RUNNING,
        Trigger.COMPLETE: RunState.COMPLETED,
        Trigger.FAIL: RunState.FAILED,
        Trigger.CANCEL: RunState.CANCELLED,
    },
    RunState.RUNNING: {
        Trigger.COMPLETE: RunState.COMPLETED,
        Trigger.FAIL: RunState.FAILED,
        Trigger.CANCEL: RunState.CANCELLED,
    },
    RunState.COMPLETED: {},
    RunState.FAILED: {},
    RunState.CANCELLED: {},
}

STEP_TRANSITIONS: dict[StepState, dict[Trigger, StepState]] = {
    StepState.QUEUED: {
        Trigger.START: StepState.RUNNING,
        Trigger.COMPLETE: StepState.COMPLETED,
        Trigger.FAIL: StepState.FAILED,
        Trigger.CANCEL: StepState.CANCELLED,
    },
    StepState.RUNNING: {
        Trigger.START: StepState.RUNNING,
        Trigger.COMPLETE: StepState.COMPLETED,
        Trigger.FAIL: StepState.FAILED,
        Trigger.CANCEL: StepState.CANCELLED,
    },
    StepState.COMPLETED: {},
    StepState.FAILED: {},
    StepState.CANCELLED: {},
}

State = TypeVar("State", RunState, StepState)


def advance(table: dict[State, dict[Trigger, State]], state: State, trigger: Trigger) -> State:
    """The state that ``trigger`` leads to from ``state``.

    Raises:
        IllegalTransitionError: ``table`` has no such way; the state is unchanged.

    """
    try:
        return table[state][trigger]
    except KeyError:
        ways = ", ".join(table[state]) or "nothing: it has ended"
        raise IllegalTransitionError(
            f"{type(state).__name__} {state.value!r} cannot {trigger.value!r}; possible: {ways}"
        ) from None
