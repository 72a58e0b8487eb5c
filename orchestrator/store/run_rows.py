"""How facts change a run's rows, and how rows become records. Folding the log gives the same, by test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from orchestrator.events import (
    CANCELLED,
    STEP_CANCELLED,
    Fact,
    RunEnded,
    StepComplete,
    StepError,
    StepQueued,
    StepRunning,
)
from orchestrator.records import RunRecord
from orchestrator.states import RunState, StepState
from orchestrator.store.base import Row, Session, Statement, Value, spread

RUNS = """
    SELECT id, project_id, status, pipeline_mode, agents_selected, last_event_id, total_tokens, error_code,
           error_message, started_by, created_at, started_at, ended_at AS completed_at, retry_of, cancelled_by,
           use_cache, takeovers, heartbeat_at, {now} AS read_at
    FROM {tenant}.agent_runs WHERE id IN ({ids})
"""

STEPS = """
    SELECT run_id, id, agent_type, position, status, progress_pct, progress_label, attempt, tokens_used, artifact_id,
           error_code, error_message, started_at, completed_at, retry_at, reason, stalled, cached, reused,
           progress_at
    FROM {tenant}.agent_run_steps WHERE run_id IN ({ids}) ORDER BY position
"""

START_RUN = "UPDATE {tenant}.agent_runs SET status = 'running', started_at = :at WHERE id = :run_id"

RUN_STEP = """
    UPDATE {tenant}.agent_run_steps
    SET status = 'running', progress_pct = :progress_pct, progress_label = :progress_label, attempt = :attempt,
        retry_at = :retry_at, reason = :reason, stalled = :stalled,
        progress_at = CASE WHEN :stalled = 1 THEN progress_at ELSE :at END,
        started_at = COALESCE(started_at, :at)
    WHERE run_id = :run_id AND id = :step_id
"""

COMPLETE_STEP = """
    UPDATE {tenant}.agent_run_steps
    SET status = 'completed', progress_pct = 100, tokens_used = :tokens_used, artifact_id = :artifact_id,
        cached = :cached, reused = :reused, retry_at = NULL, reason = NULL, stalled = 0, completed_at = :at
    WHERE run_id = :run_id AND id = :step_id
"""

SUM_TOKENS = """
    UPDATE {tenant}.agent_runs
    SET takeovers = 0, total_tokens = (SELECT SUM(tokens_used) FROM {tenant}.agent_run_steps WHERE run_id = :run_id)
    WHERE id = :run_id
"""

END_STEP = """
    UPDATE {tenant}.agent_run_steps
    SET status = :status, error_code = :error_code, error_message = :error_message, retry_at = NULL,
        reason = :reason, stalled = 0, completed_at = :at
    WHERE run_id = :run_id AND id = :step_id
"""

END_RUN = """
    UPDATE {tenant}.agent_runs
    SET status = :status, error_code = :error_code, error_message = :error_message, cancelled_by = :cancelled_by,
        ended_at = :at
    WHERE id = :run_id
"""


async def read_runs(session: Session, run_ids: Sequence[str]) -> tuple[RunRecord, ...]:
    """The runs of those ids that exist, with their steps, in the order of the ids."""
    if not run_ids:
        return ()
    runs_sql, ids = spread(RUNS, "ids", run_ids)
    steps_sql, _ = spread(STEPS, "ids", run_ids)
    runs = {row["id"]: row for row in await session.fetch_all(runs_sql, **ids)}
    steps = await session.fetch_all(steps_sql, **ids)
    return tuple(
        _run_record(runs[run_id], [step for step in steps if step["run_id"] == run_id])
        for run_id in run_ids
        if run_id in runs
    )


async def read_run(session: Session, run_id: str) -> RunRecord | None:
    """The run with its steps, or None."""
    runs = await read_runs(session, [run_id])
    return runs[0] if runs else None


def _run_record(run: Row, steps: Sequence[Row]) -> RunRecord:
    at_work = run["completed_at"] is None
    told = {
        **run,
        "agents_selected": msgspec.json.decode(run["agents_selected"]),
        "steps": [_step_record(step, run["read_at"]) for step in steps],
        "use_cache": bool(run["use_cache"]),
        "heartbeat_age_s": _age_s(run["heartbeat_at"], run["read_at"]) if at_work else None,
    }
    return msgspec.convert(told, RunRecord)


def _step_record(step: Row, read_at: str) -> dict[str, Any]:
    flags = {name: bool(step[name]) for name in ("stalled", "cached", "reused")}
    under_way = step["status"] == StepState.RUNNING
    return {**step, **flags, "progress_age_s": _age_s(step["progress_at"], read_at) if under_way else None}


def _age_s(since: str | None, now: str) -> float | None:
    if since is None:
        return None
    return max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds())


def changes(run_id: str, facts: Sequence[Fact], status: RunState, at: str) -> Iterator[Statement]:
    """What facts that happened at ``at``, in order, change in the rows of a run that is ``status`` so far."""
    if status is RunState.QUEUED and any(isinstance(fact, StepRunning) for fact in facts):
        yield Statement(START_RUN, {"run_id": run_id, "at": at})
    for fact in facts:
        about: dict[str, Value] = {"run_id": run_id, "at": at}
        match fact:
            case StepQueued():
                pass  # its row was made when the run was accepted
            case StepRunning():
                yield Statement(RUN_STEP, about | _progress(fact))
            case StepComplete():
                outcome: dict[str, Value] = {
                    "step_id": fact.step_id,
                    "tokens_used": fact.tokens_used,
                    "artifact_id": fact.artifact_id,
                    "cached": int(fact.cached),
                    "reused": int(fact.reused),
                }
                yield Statement(COMPLETE_STEP, about | outcome)
                yield Statement(SUM_TOKENS, about)
            case StepError():
                yield Statement(END_STEP, about | _step_error(fact))
            case RunEnded():
                yield Statement(END_RUN, about | _run_end(fact))


def _progress(fact: StepRunning) -> dict[str, Value]:
    return {
        "step_id": fact.step_id,
        "progress_pct": fact.progress_pct,
        "progress_label": fact.progress_label,
        "attempt": fact.attempt,
        "retry_at": None if fact.retry_at is UNSET else fact.retry_at,
        "reason": None if fact.reason is UNSET else fact.reason,
        "stalled": int(fact.stalled is True),
    }


def _step_error(fact: StepError) -> dict[str, Value]:
    status = StepState.CANCELLED if fact.error_code == STEP_CANCELLED else StepState.FAILED
    return {
        "step_id": fact.step_id,
        "status": status,
        "error_code": fact.error_code,
        "error_message": fact.message,
        "reason": None if fact.reason is UNSET else fact.reason,
    }


def _run_end(fact: RunEnded) -> dict[str, Value]:
    if fact.error is UNSET:
        return {"status": RunState.COMPLETED, "error_code": None, "error_message": None, "cancelled_by": None}
    return {
        "status": RunState.CANCELLED if fact.error_code == CANCELLED else RunState.FAILED,
        "error_code": None if fact.error_code is UNSET else fact.error_code,
        "error_message": None if fact.message is UNSET else fact.message,
        "cancelled_by": None if fact.cancelled_by is UNSET else fact.cancelled_by,
    }
