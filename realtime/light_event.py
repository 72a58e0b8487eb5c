"""An event for many connections, of which few wait."""

from __future__ import annotations

import asyncio
from typing import Literal


class LightEvent:
    """`asyncio.Event` for what has thousands of them: while nobody waits it holds no queue for waiters (0.7 KB)."""

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """True while it is set."""
        return self._set

    def set(self) -> None:
        """Let everybody go on who waits, or will, until it is cleared."""
        self._set = True
        for waiter in self._waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = None

    def clear(self) -> None:
        """Have everybody wait again."""
        self._set = False

    async def wait(self) -> Literal[True]:
        """Return as soon as it is set."""
        if not self._set:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            try:
                await waiter
            finally:
                if self._waiters is not None:
                    self._waiters = [other for other in self._waiters if other is not waiter] or None
        return True
