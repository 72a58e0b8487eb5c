"""How far each viewer says it has come in a run's log."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from orchestrator.store.base import Databases, Session, Statement, read_or, write_or

MOST_CLIENTS = 16
"""Clients kept per user and run: those heard from last."""

SELECT = """
    SELECT event_id FROM {tenant}.acks WHERE run_id = :run_id AND user_id = :user_id AND client_id = :client_id
"""

KEEP = """
    INSERT INTO {tenant}.acks AS kept (run_id, user_id, client_id, event_id, turn)
    SELECT :run_id, :user_id, :client_id, CAST(:event_id AS BIGINT), COALESCE(
        (SELECT MAX(turn) FROM {tenant}.acks WHERE run_id = :run_id AND user_id = :user_id), 0) + 1
    WHERE EXISTS (SELECT 1 FROM {tenant}.agent_run_events WHERE run_id = :run_id)
    ON CONFLICT (run_id, user_id, client_id) DO UPDATE SET event_id = excluded.event_id, turn = excluded.turn
    WHERE kept.event_id <= excluded.event_id
"""

PRUNE = """
    DELETE FROM {tenant}.acks WHERE run_id = :run_id AND user_id = :user_id AND client_id NOT IN (
        SELECT client_id FROM {tenant}.acks WHERE run_id = :run_id AND user_id = :user_id
        ORDER BY turn DESC, client_id LIMIT :most
    )
"""


class AckRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A client of a user has handled a run's log up to ``event_id``."""

    run_id: str
    user_id: str
    client_id: str
    event_id: int


class AckStore:
    """The acks of all tenants' runs. They die with the run's log."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def get_ack(self, tenant: str, run_id: str, user_id: str, client_id: str) -> int | None:
        """The highest event id kept for that client, or None."""

        async def read(session: Session) -> int | None:
            row = await session.fetch_one(SELECT, run_id=run_id, user_id=user_id, client_id=client_id)
            return None if row is None else int(row["event_id"])

        return await read_or(self._databases, tenant, read, None)

    async def save_acks(self, tenant: str, acks: Sequence[AckRecord]) -> None:
        """Keep them, in order, all or none.

        One below what is kept changes nothing; so does one of a run that the tenant does not have or whose log is
        gone. Of a user's clients of a run, the 16 that were kept last stay.
        """

        async def save(session: Session) -> None:
            await session.execute_all([Statement(KEEP, msgspec.structs.asdict(ack)) for ack in acks])
            viewers = {(ack.run_id, ack.user_id) for ack in acks}
            await session.execute_all(
                [
                    Statement(PRUNE, {"run_id": run_id, "user_id": user_id, "most": MOST_CLIENTS})
                    for run_id, user_id in viewers
                ]
            )

        await write_or(self._databases, tenant, save, None)
