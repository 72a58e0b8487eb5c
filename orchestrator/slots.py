"""Places for runs at work, given to tenants in turn, so that one with many runs keeps nobody else's waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """So many places. Of those who wait, tenants have their turns; within a tenant, first come is first served."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By tenant, the one whose turn is next first; none is empty."""

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Hold a place while this is open. Cancelled while it waits, it takes none."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(tenant)
        try:
            yield
        finally:
            self._give()

    async def _wait(self, tenant: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(tenant, turn)
            else:  # it was given a place in the same moment
                self._give()
            raise

    def _leave(self, tenant: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(tenant, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[tenant]

    def _give(self) -> None:
        """Let the next one have a place that is free now; its tenant's turn comes again after all others'."""
        while self._waiting:
            tenant = next(iter(self._waiting))
            line = self._waiting.pop(tenant)
            turn = line.popleft()
            if line:
                self._waiting[tenant] = line
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
