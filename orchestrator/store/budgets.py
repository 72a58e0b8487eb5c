"""What a tenant has spent on language models in a month, and what calls under way have put aside.

Locks are taken in one order: the run's row, reservations, the month's row. Whoever has the month's row counts alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

from orchestrator.errors import ClaimLostError
from orchestrator.records import Claim
from orchestrator.spending import MonthUsage, Reservation
from orchestrator.store.base import Databases, Row, Session, TenantNotFoundError, later, now, write_or

SETTLE_S = 60.0
"""How long calls of a run that was ended from outside, as by a cancellation, have for being settled by its worker."""

HOLD_CLAIM = """
    UPDATE {tenant}.agent_runs SET claim_token = :token
    WHERE id = :run_id AND claim_token = :token AND ended_at IS NULL RETURNING id
"""
"""Changes nothing, but whoever takes the run over has to wait until the reservation is there to be written off."""

TAKE_MONTH = """
    INSERT INTO {tenant}.token_months AS kept (month, spent) VALUES (SUBSTR({now}, 1, 7), 0)
    ON CONFLICT (month) DO UPDATE SET spent = kept.spent RETURNING month, spent
"""

SPENT = "SELECT spent FROM {tenant}.token_months WHERE month = :month"

RESERVED = """
    SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) AS tokens
    FROM {tenant}.token_reservations WHERE month = :month
"""

RESERVE = "INSERT INTO {tenant}.token_reservations (id, run_id, month, tokens) VALUES (:id, :run_id, :month, :tokens)"

DROP = "DELETE FROM {tenant}.token_reservations WHERE id = :id RETURNING month"

DROP_OF_RUN = "DELETE FROM {tenant}.token_reservations WHERE run_id = :run_id RETURNING month, tokens"

DROP_LEFT_BEHIND = """
    DELETE FROM {tenant}.token_reservations AS kept
    WHERE EXISTS (SELECT 1 FROM {tenant}.agent_runs WHERE id = kept.run_id AND ended_at < :settled_by)
    RETURNING month, tokens
"""
"""Of runs that have ended, calls that nobody settled: their worker is gone, or the database was away just then."""

SPEND = "UPDATE {tenant}.token_months SET spent = spent + :tokens WHERE month = :month RETURNING spent"


class TokenStore:
    """`orchestrator.spending.TokenStore` on any of the databases."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def reserve(self, claim: Claim, tokens: int, limit: int | None) -> Reservation:
        """See `orchestrator.spending.TokenStore.reserve`."""

        async def reserve(session: Session) -> Reservation:
            return await _reserve(session, claim, tokens, limit)

        try:
            return await self._databases.write_in_turn(claim.tenant, reserve)
        except TenantNotFoundError:
            raise ClaimLostError(
                f"Run {claim.run_id!r} does not exist: there is no tenant {claim.tenant!r}."
            ) from None

    async def settle(self, tenant: str, reservation_id: str, tokens: int) -> MonthUsage | None:
        """See `orchestrator.spending.TokenStore.settle`."""

        async def settle(session: Session) -> MonthUsage | None:
            row = await session.fetch_one(DROP, id=reservation_id)
            return None if row is None else await _spend(session, row["month"], tokens)

        return await write_or(self._databases, tenant, settle, None)

    async def usage(self, tenant: str) -> MonthUsage:
        """See `orchestrator.spending.TokenStore.usage`."""

        async def read(session: Session) -> MonthUsage:
            month = _month_of(await now(session))
            row = await session.fetch_one(SPENT, month=month)
            return await _usage(session, month, 0 if row is None else row["spent"])

        try:
            return await self._databases.read(tenant, read)
        except TenantNotFoundError:
            return MonthUsage(month=_month_of(await self._databases.read_shared(now)), spent=0, reserved=0)


async def write_off(session: Session, run_id: str) -> None:
    """Count what calls of a dead claim of the run had put aside as spent: what they cost, nobody can know."""
    await _spend_all(session, await session.fetch_all(DROP_OF_RUN, run_id=run_id))


async def _reserve(session: Session, claim: Claim, tokens: int, limit: int | None) -> Reservation:
    if await session.fetch_one(HOLD_CLAIM, run_id=claim.run_id, token=claim.token) is None:
        raise ClaimLostError(f"Run {claim.run_id!r} has ended or is not claimed by this worker any more.")
    settled_by = later(await now(session), -SETTLE_S)
    await _spend_all(session, await session.fetch_all(DROP_LEFT_BEHIND, settled_by=settled_by))
    taken = await session.fetch_one(TAKE_MONTH)
    assert taken is not None, "the month's row was inserted or updated"  # noqa: S101
    usage = await _usage(session, taken["month"], taken["spent"])
    usage.check(limit)
    tokens = max(1, tokens) if limit is None else min(max(1, tokens), usage.remaining(limit))
    reservation_id = str(uuid4())
    await session.execute(RESERVE, id=reservation_id, run_id=claim.run_id, month=usage.month, tokens=tokens)
    return Reservation(id=reservation_id, tokens=tokens, usage=usage)


async def _usage(session: Session, month: str, spent: int) -> MonthUsage:
    row = await session.fetch_one(RESERVED, month=month)
    assert row is not None, "an aggregate always has a row"  # noqa: S101
    return MonthUsage(month=month, spent=spent, reserved=row["tokens"])


async def _spend_all(session: Session, reservations: Sequence[Row]) -> None:
    """Count reservations that are gone as spent in full."""
    spent: Counter[str] = Counter()
    for row in reservations:
        spent[row["month"]] += row["tokens"]
    for month in sorted(spent):
        await _spend(session, month, spent[month])


async def _spend(session: Session, month: str, tokens: int) -> MonthUsage:
    row = await session.fetch_one(SPEND, month=month, tokens=tokens)
    assert row is not None, "the month's row is there since something was put aside in it"  # noqa: S101
    return await _usage(session, month, row["spent"])


def _month_of(at: str) -> str:
    return at[:7]
