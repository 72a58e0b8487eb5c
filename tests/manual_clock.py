"""Time in the hands of a test, and lists that say when they have grown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.progress import STALLED_S

PATIENCE_S = 30
"""How long a test waits for a fact before it fails."""

Item = TypeVar("Item")


class Watched(list[Item]):
    """A list that says when it has grown."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def append(self, item: Item) -> None:
        super().append(item)
        self._grown.set()

    async def until(self, found: Callable[[Item], bool]) -> Item:
        """The first item for which ``found``, as soon as there is one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for item in self:
                    if found(item):
                        return item
                self._grown.clear()
                await self._grown.wait()

    async def nth(self, number: int) -> Item:
        """The item with that number, counted from 1, as soon as there is one."""
        await self.until(lambda _: len(self) >= number)
        return self[number - 1]


class ManualClock:
    """A clock that stands still until the test advances it.

    ``naps`` are the durations of all sleeps asked for, but for those of `STALLED_S`: every wait for progress has one
    of these, in ``patience``.
    """

    def __init__(self) -> None:
        self.naps: Watched[float] = Watched()
        self.patience: Watched[float] = Watched()
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self._elapsed

    def now(self) -> datetime:
        return datetime(2026, 2, 28, 9, 30, tzinfo=UTC) + timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = self._elapsed + seconds, asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        (self.patience if seconds == STALLED_S else self.naps).append(seconds)
        try:
            await sleeper[1]
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._elapsed += seconds
        for due, waiter in self._sleepers:
            if due <= self._elapsed + 1e-9 and not waiter.done():
                waiter.set_result(None)
