"""What a caller's tenant has spent, read beside whoever serves the store."""

from __future__ import annotations

from realtime.ports import UsageInfo
from realtime.settings import Settings
from realtime.wiring.adapters import to_usage
from realtime.wiring.callers import Caller, find_user
from realtime.wiring.opening import open_store


async def read_usage(settings: Settings, caller: Caller) -> UsageInfo:
    """What the caller's tenant has spent in this month, and what is left by the limit in ``settings``.

    Raises:
        MissingError: there is no such caller.
        StoreError: the store cannot be used.

    """
    async with await open_store(settings) as store:
        user = await find_user(store, caller)
        return to_usage(await store.tokens.usage(user.tenant), settings.monthly_tokens)
