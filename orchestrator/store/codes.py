"""One-time sign-in codes. Only their hashes are kept."""

from __future__ import annotations

import msgspec

from orchestrator.store.accounts import USER_BY_ID, UserNotFoundError, UserRecord
from orchestrator.store.base import Databases, Session, later, now

INSERT_CODE = """
    INSERT INTO public.one_time_codes (code_hash, user_id, expires_at) VALUES (:code_hash, :user_id, :expires_at)
"""

PRUNE_CODES = "DELETE FROM public.one_time_codes WHERE expires_at <= {now}"

SPEND_CODE = "DELETE FROM public.one_time_codes WHERE code_hash = :code_hash RETURNING user_id"

USER_OF_CODE = "SELECT tenant, id, email FROM public.users WHERE id = :user_id"


class CodeStore:
    """The codes that have been neither spent nor forgotten."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def add_code(self, code_hash: str, tenant: str, user_id: str, ttl_s: float) -> None:
        """Keep a one-time sign-in code of that user, by its hash, for ``ttl_s`` seconds. Forgets expired ones.

        Raises:
            UserNotFoundError: the tenant has no such user.

        """

        async def add(session: Session) -> None:
            if await session.fetch_one(USER_BY_ID, tenant=tenant, user_id=user_id) is None:
                raise UserNotFoundError(f"Tenant {tenant!r} has no user {user_id!r}.")
            await session.execute(PRUNE_CODES)
            expires_at = later(await now(session), ttl_s)
            await session.execute(INSERT_CODE, code_hash=code_hash, user_id=user_id, expires_at=expires_at)

        await self._databases.write_shared(add)

    async def spend_code(self, code_hash: str) -> UserRecord | None:
        """The user of an unspent, unexpired code, which is spent by this: whoever asks second gets None."""

        async def spend(session: Session) -> UserRecord | None:
            await session.execute(PRUNE_CODES)
            spent = await session.fetch_one(SPEND_CODE, code_hash=code_hash)
            if spent is None:
                return None
            return msgspec.convert(await session.fetch_one(USER_OF_CODE, user_id=spent["user_id"]), UserRecord)

        return await self._databases.write_shared(spend)
