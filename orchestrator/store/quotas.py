"""Whether a tenant and a user still have room, at the end of the unit of work that has taken it.

A check first waits for the tenant's turn, a row that is locked until the transaction ends, and then counts: its own
rows, and those of all who had the turn before. So what is kept is never more than the limit. Rows are written before
the check, so that the turn is short.
"""

from __future__ import annotations

from orchestrator.errors import ProjectTooLargeError, QuotaExceededError
from orchestrator.records import MAX_PROJECT_BYTES, NO_QUOTA, Quota
from orchestrator.store.base import Session

TAKE_TURN = "UPDATE {tenant}.quota_turns SET turn = turn + 1 WHERE name = 'tenant'"
"""A lock that every database has: whoever updates the row counts alone until their transaction ends."""

UNFINISHED_RUNS = """
    SELECT COUNT(*) AS tenant, COUNT(CASE WHEN started_by = :user_id THEN 1 END) AS own
    FROM {tenant}.agent_runs WHERE ended_at IS NULL
"""

VERSION_BYTES = 512
"""What a version of a document counts beside its text: rows take room, too."""

DOCUMENT_BYTES = f"""
    SELECT COALESCE(SUM(size + {VERSION_BYTES}), 0) AS tenant,
           COALESCE(SUM(CASE WHEN added_by = :user_id THEN size + {VERSION_BYTES} END), 0) AS own
    FROM {{tenant}}.document_versions
"""  # noqa: S608  # a constant

PROJECT_BYTES = "SELECT COALESCE(SUM(size), 0) AS bytes FROM {tenant}.documents WHERE project_id = :project_id"


async def check_runs(session: Session, user_id: str, quota: Quota) -> None:
    """Check the unfinished runs, with those of this unit of work.

    Raises:
        QuotaExceededError: they are more than the quota.

    """
    if quota == NO_QUOTA:
        return
    await session.execute(TAKE_TURN)
    await _check(session, UNFINISHED_RUNS, user_id, quota, "runs")


async def check_documents(session: Session, project_id: str, user_id: str | None, quota: Quota) -> None:
    """Check the bytes of the project's documents and of all versions of all, with those of this unit of work.

    Raises:
        ProjectTooLargeError: the newest versions of the project's documents have more than any project may have.
        QuotaExceededError: all versions of the tenant's, or those that the user added, have more than the quota.

    """
    await session.execute(TAKE_TURN)
    row = await session.fetch_one(PROJECT_BYTES, project_id=project_id)
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    if row["bytes"] > MAX_PROJECT_BYTES:
        raise ProjectTooLargeError(
            f"The documents of the project would have {row['bytes']} bytes; expected at most {MAX_PROJECT_BYTES}."
        )
    await _check(session, DOCUMENT_BYTES, user_id or "", quota, "document_bytes")


async def _check(session: Session, sql: str, user_id: str, quota: Quota, resource: str) -> None:
    if quota == NO_QUOTA:
        return
    row = await session.fetch_one(sql, user_id=user_id)
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    for scope, amount, limit in (("tenant", row["tenant"], quota.tenant), ("user", row["own"], quota.user)):
        if limit and amount > limit:
            raise QuotaExceededError(resource, scope, int(amount), limit)
