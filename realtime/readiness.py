"""Whether what is kept can be used now: asked at most once a second, however many want to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger(__name__)

FRESH_S = 1.0
"""How long an answer holds."""
PATIENCE_S = 2.0
"""No answer for so long is a no."""


class Readiness:
    """Asks ``is_available`` for everybody at once, and tells ``on_answer`` what it said."""

    def __init__(self, is_available: Callable[[], Awaitable[bool]], on_answer: Callable[[bool], None]) -> None:
        self._is_available = is_available
        self._on_answer = on_answer
        self._asking: asyncio.Task[bool] | None = None
        self._fresh_until = 0.0

    async def is_available(self) -> bool:
        """True where it is. Answers within `PATIENCE_S` and never raises; being cancelled disturbs nobody else."""
        if self._asking is None or (self._asking.done() and time.monotonic() >= self._fresh_until):
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                available = await self._is_available()
        except Exception:
            _log.warning("whether the store is available cannot be found out", exc_info=True)
            available = False
        self._fresh_until = time.monotonic() + FRESH_S
        self._on_answer(available)
        return available
