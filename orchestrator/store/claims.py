"""Claims of runs, inside a unit of work on a tenant's schema. All times are those of the database's clock."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from orchestrator.records import RunRecord
from orchestrator.store.base import Session, Statement, later, now, spread
from orchestrator.store.run_rows import read_run

BEFORE = "SELECT claim_token, {now} AS at FROM {tenant}.agent_runs WHERE id = :id"

TAKE = """
    UPDATE {tenant}.agent_runs
    SET takeovers = takeovers + CASE WHEN claim_token IS NULL OR claim_token = :token THEN 0 ELSE 1 END,
        claim_token = :token, lease_until = :until, heartbeat_at = :at
    WHERE id = :id AND ended_at IS NULL
"""

IF_FREE = " AND (claim_token = :token OR claim_token IS NULL OR lease_until IS NULL OR lease_until < :at)"

RETURNING = " RETURNING id"

RENEW = """
    UPDATE {tenant}.agent_runs SET lease_until = :until, heartbeat_at = :at
    WHERE id = :id AND claim_token = :token AND ended_at IS NULL
"""

RELEASE = """
    UPDATE {tenant}.agent_runs SET claim_token = NULL, lease_until = NULL, heartbeat_at = NULL
    WHERE id = :id AND claim_token = :token AND ended_at IS NULL
"""

HELD = "SELECT id, claim_token FROM {tenant}.agent_runs WHERE id IN ({ids})"


async def claim(session: Session, run_id: str, token: str, lease_s: float, *, seize: bool) -> RunRecord | None:
    """The run, which ``token`` claims from now on; None: it is not to be had."""
    before = await session.fetch_one(BEFORE, id=run_id)
    if before is None:
        return None
    at = before["at"]
    sql = TAKE + ("" if seize else IF_FREE) + RETURNING
    if await session.fetch_one(sql, id=run_id, token=token, at=at, until=later(at, lease_s)) is None:
        return None
    run = await read_run(session, run_id)
    return run and replace(run, taken_over=before["claim_token"] not in {None, token})


async def renew(session: Session, tokens: Mapping[str, str], lease_s: float) -> frozenset[str]:
    """Let these claims last from now on; the runs whose claims still hold. Rows are locked in the order of ids."""
    at = await now(session)
    times = {"at": at, "until": later(at, lease_s)}
    await session.execute_all(
        [Statement(RENEW, {"id": run_id, "token": tokens[run_id], **times}) for run_id in sorted(tokens)]
    )
    return await held(session, tokens)


async def held(session: Session, tokens: Mapping[str, str]) -> frozenset[str]:
    """The runs whose claims still hold."""
    if not tokens:
        return frozenset()
    sql, ids = spread(HELD, "ids", sorted(tokens))
    rows = await session.fetch_all(sql, **ids)
    return frozenset(row["id"] for row in rows if tokens[row["id"]] == row["claim_token"])


async def release(session: Session, run_id: str, token: str) -> None:
    """Give the claim back, if it still holds."""
    await session.execute(RELEASE, id=run_id, token=token)
