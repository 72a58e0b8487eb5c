"""When each step of a run was tried, and how each attempt ended: what its events, or a snapshot, tell of that. Pure.

The same functions are in realtime/web/static/page/timeline-fold.js, for after the first paint;
tests/vectors/timeline.json holds the two equal.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from realtime.events import Event, EventType
from realtime.snapshot import RunSnapshot, StepSnapshot

Outcome = Literal["running", "completed", "failed", "cancelled", "interrupted"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a step, the first is 1. Times are RFC 3339, UTC; ``reason``: why it failed or was cancelled.

    ``outcome`` interrupted: the next attempt began without an end of this one, as its worker was lost. ``ended_at``
    None: it is under way, or failed at a time that is not known and the next has not begun.
    """

    attempt: int
    started_at: str
    ended_at: str | None = None
    outcome: Outcome = "running"
    reason: str | None = None


class StepTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """One step and its attempts, oldest first: none where it has not started, or was kept from another run."""

    step_id: str
    agent_type: str
    position: int
    attempts: tuple[Attempt, ...] = ()


Timeline = tuple[StepTimeline, ...]
"""Every step of a run, by position."""


def empty() -> Timeline:
    """A run of which nothing is known yet; its ``queued`` events give it its steps."""
    return ()


def from_snapshot(snapshot: RunSnapshot) -> Timeline:
    """What is known without the log: one attempt, the last, for each step that started, from its first start."""
    return tuple(
        StepTimeline(
            step_id=step.id, agent_type=step.agent_type, position=step.position, attempts=_attempts_known(step)
        )
        for step in sorted(snapshot.steps, key=lambda step: step.position)
    )


def _attempts_known(step: StepSnapshot) -> tuple[Attempt, ...]:
    if step.started_at is None:
        return ()
    waiting = step.retry_at is not None
    known = Attempt(
        attempt=step.attempt,
        started_at=step.started_at,
        ended_at=step.completed_at,
        outcome="failed" if waiting else step.status,  # type: ignore[arg-type]  # a started step has no other status
        reason=step.reason if waiting else step.error_message,
    )
    return (known,)


def apply(timeline: Timeline, event: Event) -> Timeline:
    """The timeline after ``event``, the next that it has not had; the same object where that changes nothing.

    Fields that are unknown here are ignored; so is an event about a step that the run does not have.
    """
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    if event.type is EventType.QUEUED:
        return _with_step(timeline, payload)
    for index, step in enumerate(timeline):
        if step.step_id == payload.get("step_id"):
            attempts = _next_attempts(step.attempts, event.type, payload)
            if attempts == step.attempts:
                return timeline
            return (*timeline[:index], replace(step, attempts=attempts), *timeline[index + 1 :])
    return timeline


def _with_step(timeline: Timeline, payload: dict[str, Any]) -> Timeline:
    if any(step.step_id == payload["step_id"] for step in timeline):
        return timeline
    step = StepTimeline(step_id=payload["step_id"], agent_type=payload["agent_type"], position=payload["position"])
    return tuple(sorted((*timeline, step), key=lambda step: step.position))


def _next_attempts(attempts: tuple[Attempt, ...], kind: EventType, payload: dict[str, Any]) -> tuple[Attempt, ...]:
    at = payload["at"]
    match kind:
        case EventType.RUNNING:
            if not attempts or payload["attempt"] > attempts[-1].attempt:
                opened = Attempt(attempt=payload["attempt"], started_at=at)
                attempts = (*_closed(attempts, at, "interrupted", None), opened)
            if payload.get("retry_at") and payload["attempt"] == attempts[-1].attempt:
                return _closed(attempts, at, "failed", payload.get("reason"))
            return attempts
        case EventType.COMPLETE:
            return _closed(attempts, at, "completed", None)
        case _:
            cancelled = payload["error_code"] == "STEP_CANCELLED"
            return _closed(attempts, at, "cancelled" if cancelled else "failed", payload["message"])


def _closed(attempts: tuple[Attempt, ...], at: str, outcome: Outcome, reason: str | None) -> tuple[Attempt, ...]:
    """The attempts with the last ended ``at``; how it ended stays where that is known."""
    if not attempts or attempts[-1].ended_at is not None:
        return attempts
    *before, last = attempts
    if last.outcome == "running":
        last = replace(last, outcome=outcome, reason=reason)
    return (*before, replace(last, ended_at=at))
