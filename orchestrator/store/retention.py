"""The end of a log: by age, whole, never because viewers left."""

from __future__ import annotations

from functools import partial

from orchestrator.store.base import Databases, Session, Statement, days_ago

LOGGED_ENDED_RUNS = """
    SELECT id FROM {tenant}.agent_runs r WHERE ended_at < :before
    AND EXISTS (SELECT 1 FROM {tenant}.agent_run_events e WHERE e.run_id = r.id)
"""

DROP_ACKS = "DELETE FROM {tenant}.acks WHERE run_id = :run_id"

DROP_LEFTOVER_ACKS = """
    DELETE FROM {tenant}.acks AS a
    WHERE NOT EXISTS (SELECT 1 FROM {tenant}.agent_run_events e WHERE e.run_id = a.run_id)
"""
"""Acks that were being kept while another transaction dropped their log, which neither could see."""

DROP_EVENTS = "DELETE FROM {tenant}.agent_run_events WHERE run_id = :run_id"


async def old_logs(databases: Databases, tenant: str, days: float) -> tuple[str, ...]:
    """The ids of the runs that ended more than ``days`` ago and still have a log."""

    async def find(session: Session) -> tuple[str, ...]:
        before = await days_ago(session, days)
        return tuple(row["id"] for row in await session.fetch_all(LOGGED_ENDED_RUNS, before=before))

    return await databases.read(tenant, find)


async def drop_logs(databases: Databases, tenant: str, days: float) -> tuple[str, ...]:
    """Delete the events and acks of runs that ended more than ``days`` ago; rows and artifacts stay.

    Returns the ids of those runs. Each run's log goes in a unit of work of its own, whole, so that live runs need not
    wait for all of them. Acks that came while their log went are taken by the next call.
    """
    run_ids = await old_logs(databases, tenant, days)
    for run_id in run_ids:
        await databases.write(tenant, partial(_drop_log, run_id))
    await databases.write(tenant, lambda session: session.execute(DROP_LEFTOVER_ACKS))
    return run_ids


async def _drop_log(run_id: str, session: Session) -> None:
    about = {"run_id": run_id}
    await session.execute_all([Statement(DROP_ACKS, about), Statement(DROP_EVENTS, about)])
