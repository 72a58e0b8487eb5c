"""A place for those who will wait for their tenant's turn, before they hold a connection to wait with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.errors import StoreError
from orchestrator.store.pool_settings import PoolSettings

KEPT_FREE = 2
"""Connections that are left for everything else, where the pool has more than `SMALLEST_SHARED`."""

SMALLEST_SHARED = 3


class _Line:
    """Those of one tenant: so many places, and how many have or want one."""

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.members = 0


class Turns:
    """At most a third of a pool's connections for one tenant's units that count, and never all of it for all of them.

    First come, first served. A tenant of whom nobody has or wants a place takes no memory.
    """

    def __init__(self, pool: PoolSettings) -> None:
        self._each = max(1, pool.max_size // 3)
        self._together = asyncio.Semaphore(
            pool.max_size - KEPT_FREE if pool.max_size > SMALLEST_SHARED else pool.max_size
        )
        self._wait_s = pool.acquire_timeout_s
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Hold a place of the tenant while this is open.

        Raises:
            StoreError: others had all places for as long as anybody waits for a connection.

        """
        line = self._lines.setdefault(tenant, _Line(self._each))
        line.members += 1
        try:
            async with self._held(line):
                yield
        finally:
            line.members -= 1
            if not line.members:
                del self._lines[tenant]

    @asynccontextmanager
    async def _held(self, line: _Line) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_s):
                await line.places.acquire()
                try:
                    await self._together.acquire()
                except BaseException:
                    line.places.release()
                    raise
        except TimeoutError as error:
            raise StoreError(
                f"{line.members} units of work wait for their tenant's turn; expected one within {self._wait_s:g} s."
            ) from error
        try:
            yield
        finally:
            self._together.release()
            line.places.release()
