"""Whether a tenant and a user still have room, inside the unit of work that takes it."""

from __future__ import annotations

from orchestrator.errors import QuotaExceededError
from orchestrator.records import Quota
from orchestrator.store.base import Session

TAKE_TURN = "UPDATE {tenant}.quota_turns SET turn = turn + 1 WHERE name = 'tenant'"
"""A lock that every database has: whoever updates the row counts alone until their transaction ends."""

UNFINISHED_RUNS = """
    SELECT COUNT(*) AS tenant, COUNT(CASE WHEN started_by = :user_id THEN 1 END) AS own
    FROM {tenant}.agent_runs WHERE ended_at IS NULL
"""

DOCUMENT_BYTES = """
    SELECT COALESCE(SUM(size), 0) AS tenant, COALESCE(SUM(CASE WHEN added_by = :user_id THEN size END), 0) AS own
    FROM {tenant}.document_versions
"""


async def take_turn(session: Session, quota: Quota) -> None:
    """Wait until nobody else is about to use up the same room. To be called before anything is counted or kept."""
    if quota.tenant or quota.user:
        await session.execute(TAKE_TURN)


async def check_runs(session: Session, user_id: str, quota: Quota) -> None:
    """Check the unfinished runs, with those of this unit of work.

    Raises:
        QuotaExceededError: they are more than the quota.

    """
    await _check(session, UNFINISHED_RUNS, user_id, quota, "runs")


async def check_documents(session: Session, user_id: str | None, quota: Quota) -> None:
    """Check the bytes of all versions of documents, with those of this unit of work.

    Raises:
        QuotaExceededError: they are more than the quota.

    """
    await _check(session, DOCUMENT_BYTES, user_id or "", quota, "document_bytes")


async def _check(session: Session, sql: str, user_id: str, quota: Quota, resource: str) -> None:
    if not (quota.tenant or quota.user):
        return
    row = await session.fetch_one(sql, user_id=user_id)
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    for scope, amount, limit in (("tenant", row["tenant"], quota.tenant), ("user", row["own"], quota.user)):
        if limit and amount > limit:
            raise QuotaExceededError(resource, scope, int(amount), limit)
