"""A run as of one event id, and how events change it. Pure.

``fold`` and ``unfold`` are the two directions between state and log: folding the whole log gives the snapshot that
the store reads; unfolding a snapshot gives the fewest events that lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from realtime.events import Event, EventType


class StepSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Times are RFC 3339, UTC; ``progress_pct`` is an integer from 0 to 100; ``attempt`` 0: not started.

    ``retry_at`` stands while it waits for another attempt; ``reason`` says why it waits, or why it failed where that
    is finer than its code. ``progress_age_s``: seconds since its agent's last progress, by the database's clock when
    the snapshot was read; None where it is not under way. ``stalled``: that was too long ago. ``cached``: its answer
    had been given before; ``reused``: by the run that this one retries.
    """

    id: str
    agent_type: str
    position: int
    status: str
    progress_pct: int = 0
    progress_label: str | None = None
    attempt: int = 0
    tokens_used: int = 0
    artifact_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    retry_at: str | None = None
    reason: str | None = None
    stalled: bool = False
    cached: bool = False
    reused: bool = False
    progress_age_s: float | None = None


class RunSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its steps by position, as of event ``last_event_id``.

    ``retry_of``: the run that this one does again. ``cancelled_by``: the user who did that. ``heartbeat_age_s``:
    seconds since its worker was last heard of, as `StepSnapshot.progress_age_s`; None where nobody works on it.
    """

    id: str
    project_id: str
    status: str
    pipeline_mode: str
    agents_selected: tuple[str, ...]
    steps: tuple[StepSnapshot, ...]
    last_event_id: int
    total_tokens: int
    error_code: str | None
    error_message: str | None
    started_by: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    retry_of: str | None = None
    cancelled_by: str | None = None
    heartbeat_age_s: float | None = None
    server_time: str

    @property
    def ended(self) -> bool:
        """True where the run's log is complete."""
        return self.completed_at is not None


def epoch_ms(at: str) -> int:
    """A time of a snapshot or an event in milliseconds since 1970."""
    return round(datetime.fromisoformat(at).timestamp() * 1000)


class Overall(NamedTuple):
    """How far a run is: steps completed, of how many, and the mean of their progress, an integer from 0 to 100."""

    done: int
    total: int
    percent: int


def overall(run: RunSnapshot) -> Overall:
    """How far the run is; 100 % only when every step is at 100, 0 % without steps."""
    total = len(run.steps)
    done = sum(step.status == "completed" for step in run.steps)
    return Overall(done, total, sum(step.progress_pct for step in run.steps) // max(1, total))


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of runs, as of event ``last_event_id``. ``progress_pct`` is over all steps, 0 to 100."""

    id: str
    project_id: str
    status: str
    pipeline_mode: str
    agents_selected: tuple[str, ...]
    progress_pct: int
    steps_completed: int
    steps_total: int
    last_event_id: int
    total_tokens: int
    error_code: str | None
    error_message: str | None
    started_by: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    retry_of: str | None


def summarise(run: RunSnapshot) -> RunSummary:
    """The run in one line. Nothing in it depends on when the run was read, so equal summaries are no news."""
    done, total, percent = overall(run)
    return RunSummary(
        id=run.id,
        project_id=run.project_id,
        status=run.status,
        pipeline_mode=run.pipeline_mode,
        agents_selected=run.agents_selected,
        progress_pct=percent,
        steps_completed=done,
        steps_total=total,
        last_event_id=run.last_event_id,
        total_tokens=run.total_tokens,
        error_code=run.error_code,
        error_message=run.error_message,
        started_by=run.started_by,
        created_at=run.created_at,
        started_at=run.started_at,
        completed_at=run.completed_at,
        retry_of=run.retry_of,
    )


def fold(snapshot: RunSnapshot, event: Event) -> RunSnapshot:
    """The snapshot after ``event``. An event that it already contains changes nothing, so state never runs backwards.

    Fields of an event that are unknown here are ignored; so is an event about a step that the run does not have.
    """
    if event.id <= snapshot.last_event_id:
        return snapshot
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    snapshot = replace(snapshot, last_event_id=event.id)
    if event.terminal:
        return _fold_ending(snapshot, payload)
    steps = tuple(
        _fold_step(step, event.type, payload) if step.id == payload.get("step_id") else step
        for step in snapshot.steps
    )
    snapshot = replace(snapshot, steps=steps, total_tokens=sum(step.tokens_used for step in steps))
    if event.type is EventType.RUNNING and snapshot.status == "queued":
        snapshot = replace(snapshot, status="running", started_at=payload["at"])
    return snapshot


def _fold_step(step: StepSnapshot, kind: EventType, payload: dict[str, Any]) -> StepSnapshot:
    match kind:
        case EventType.RUNNING:
            return replace(
                step,
                status="running",
                progress_pct=payload["progress_pct"],
                progress_label=payload["progress_label"],
                attempt=payload["attempt"],
                started_at=step.started_at or payload["at"],
                retry_at=payload.get("retry_at"),
                reason=payload.get("reason"),
                stalled=payload.get("stalled", False),
                progress_age_s=step.progress_age_s if payload.get("stalled") else 0.0,
            )
        case EventType.COMPLETE:
            return replace(
                step,
                status="completed",
                progress_pct=100,
                tokens_used=payload["tokens_used"],
                artifact_id=payload["artifact_id"],
                cached=payload.get("cached", False),
                reused=payload.get("reused", False),
                completed_at=payload["at"],
                **_NOT_UNDER_WAY,
            )
        case EventType.ERROR:
            return replace(
                step,
                status="cancelled" if payload["error_code"] == "STEP_CANCELLED" else "failed",
                error_code=payload["error_code"],
                error_message=payload["message"],
                completed_at=payload["at"],
                **_NOT_UNDER_WAY | {"reason": payload.get("reason")},
            )
        case _:
            return step


_NOT_UNDER_WAY: dict[str, Any] = {"retry_at": None, "reason": None, "stalled": False, "progress_age_s": None}


def _fold_ending(snapshot: RunSnapshot, payload: dict[str, Any]) -> RunSnapshot:
    if not payload.get("error"):
        return replace(snapshot, status="completed", completed_at=payload["at"], heartbeat_age_s=None)
    return replace(
        snapshot,
        cancelled_by=payload.get("cancelled_by"),
        heartbeat_age_s=None,
        status="cancelled" if payload["error_code"] == "CANCELLED" else "failed",
        error_code=payload["error_code"],
        error_message=payload["message"],
        completed_at=payload["at"],
    )


def unfold(snapshot: RunSnapshot) -> Iterator[tuple[EventType, dict[str, Any]]]:
    """The fewest (type, payload) that show the run as it is: its plan, each step's state, its end if it ended."""
    for step in snapshot.steps:
        yield (
            EventType.QUEUED,
            {
                "step_id": step.id,
                "agent_type": step.agent_type,
                "position": step.position,
                "total_steps": len(snapshot.steps),
                "at": snapshot.created_at,
            },
        )
    for step in sorted(snapshot.steps, key=lambda step: (step.started_at is None, step.started_at or "")):
        yield from _unfold_step(step)  # the run started with the first that did
    if snapshot.ended:
        yield EventType.COMPLETE, _unfold_ending(snapshot)


def _unfold_step(step: StepSnapshot) -> Iterator[tuple[EventType, dict[str, Any]]]:
    about = {"step_id": step.id, "agent_type": step.agent_type}
    if step.started_at is not None:
        progress = {"progress_pct": step.progress_pct, "progress_label": step.progress_label, "attempt": step.attempt}
        waiting = {} if step.retry_at is None else {"retry_at": step.retry_at, "reason": step.reason}
        stalled = {"stalled": True} if step.stalled else {}
        yield EventType.RUNNING, {**about, **progress, **waiting, **stalled, "at": step.started_at}
    if step.status == "completed":
        done = {"tokens_used": step.tokens_used, "artifact_id": step.artifact_id}
        came = {"cached": step.cached, "reused": step.reused}
        yield EventType.COMPLETE, {**about, **done, **came, "at": step.completed_at}
    elif step.completed_at is not None:
        failure = {"error_code": step.error_code, "message": step.error_message}
        finer = {} if step.reason is None else {"reason": step.reason}
        yield EventType.ERROR, {**about, **failure, **finer, "at": step.completed_at}


def _unfold_ending(snapshot: RunSnapshot) -> dict[str, Any]:
    ending: dict[str, Any] = {"run_id": snapshot.id, "all_done": True}
    if snapshot.status != "completed":
        ending |= {"error": True, "error_code": snapshot.error_code, "message": snapshot.error_message}
        if snapshot.cancelled_by is not None:
            ending["cancelled_by"] = snapshot.cancelled_by
    return {**ending, "at": snapshot.completed_at}


def terminal_event(snapshot: RunSnapshot) -> Event:
    """The last event of a run that has ended, byte for byte as its log has it, or had it."""
    payload = msgspec.json.encode(_unfold_ending(snapshot)).decode()
    return Event(snapshot.id, snapshot.last_event_id, EventType.COMPLETE, payload)
