"""Appending to a run's log, and to its rows what that changes, inside a unit of work on a tenant's schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.errors import ClaimLostError, IllegalTransitionError
from orchestrator.events import Fact, RunEnded, StepRunning, encode_payload
from orchestrator.records import Artifact, SavedEvent
from orchestrator.states import RunState
from orchestrator.store.artifacts import keep_artifacts
from orchestrator.store.base import Session, Statement, bounded
from orchestrator.store.run_rows import changes

NUMBER = """
    UPDATE {tenant}.agent_runs SET last_event_id = last_event_id + :n
    WHERE id = :id AND claim_token = :token AND ended_at IS NULL
    RETURNING last_event_id, status, {now} AS at
"""

INSERT_EVENT = """
    INSERT INTO {tenant}.agent_run_events (run_id, id, type, payload) VALUES (:run_id, :id, :type, :payload)
"""

EVENTS = """
    SELECT id, type, payload FROM {tenant}.agent_run_events
    WHERE run_id = :run_id AND id > :after ORDER BY id LIMIT :limit
"""


def check_order(run_id: str, facts: Sequence[Fact]) -> None:
    """Let pass what ends a run with its last fact, or not at all.

    Raises:
        IllegalTransitionError: a fact follows the end.

    """
    if any(isinstance(fact, RunEnded) for fact in facts[:-1]):
        raise IllegalTransitionError(f"Run {run_id!r}: a fact follows the end; expected RunEnded to be the last.")


async def append(
    session: Session, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
) -> tuple[SavedEvent, ...]:
    """Number and fence ``facts`` by one statement, then write them, what they change, and ``artifacts``.

    Raises:
        ClaimLostError: ``token`` does not hold the run, or it has ended.

    """
    row = await session.fetch_one(NUMBER, n=len(facts), id=run_id, token=token)
    if row is None:
        raise ClaimLostError(f"Run {run_id!r} has ended or is not claimed by this worker any more.")
    at = row["at"]
    events = number(facts, row["last_event_id"] - len(facts) + 1, at)
    statements = [
        *log_rows(run_id, events),
        *changes(run_id, facts, RunState(row["status"]), at),
        *keep_artifacts(run_id, artifacts, at),
    ]
    if len(statements) == 2 and isinstance(facts[0], StepRunning):  # progress, which is most of all saves
        await session.execute_apart(statements)
    else:
        await session.execute_all(statements)
    return events


async def read_log(session: Session, run_id: str, after: int, limit: int) -> tuple[SavedEvent, ...]:
    """Up to ``limit`` events with ids above ``after``, in order."""
    rows = await session.fetch_all(EVENTS, run_id=run_id, after=bounded(after), limit=bounded(limit))
    return tuple(SavedEvent(row["id"], row["type"], row["payload"]) for row in rows)


def number(facts: Sequence[Fact], first: int, at: str) -> tuple[SavedEvent, ...]:
    """The facts as events with ids from ``first`` on, that happened ``at``."""
    return tuple(
        SavedEvent(event_id, fact.wire_type, encode_payload(fact, at)) for event_id, fact in enumerate(facts, first)
    )


def log_rows(run_id: str, events: Sequence[SavedEvent]) -> Iterator[Statement]:
    """What inserts events into the log."""
    for event in events:
        yield Statement(INSERT_EVENT, {"run_id": run_id, **msgspec.structs.asdict(event)})
