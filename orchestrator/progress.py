"""How far a step is, told as often as viewers profit from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from orchestrator.errors import StoreError
from orchestrator.ports import Clock

_log = structlog.get_logger(__name__)

INTERVAL_S = 1 / 3
"""With the start of the attempt, which is told at once, at most four a second per step."""


class ProgressMeter:
    """Joins an agent's reports: the newest is saved when it differs from the last saved, not more often than allowed.

    The percentage is kept within 0 to 100 and never falls.
    """

    def __init__(self, save: Callable[[int, str], Awaitable[None]], clock: Clock, label: str) -> None:
        self.percent = 0
        self._label = label
        self._saved = (0, label)
        self._save = save
        self._clock = clock
        self._changed = asyncio.Event()

    def report(self, percent: int, label: str) -> None:
        """Take what the agent says. Never waits."""
        percent = max(self.percent, min(100, int(percent)))
        if (percent, label) != (self.percent, self._label):
            self.percent, self._label = percent, label
            self._changed.set()

    async def run(self) -> None:
        """Save what is reported, until cancelled, or the claim is lost. What the store refuses is tried again."""
        told = False
        while True:
            await self._changed.wait()
            self._changed.clear()
            newest = (self.percent, self._label)
            if self._saved != newest:
                try:
                    await self._save(*newest)
                    self._saved = newest
                    told = False
                except StoreError as error:
                    if not told:
                        _log.warning("progress cannot be saved yet", reason=str(error))
                    told = True
                    self._changed.set()
                await self._clock.sleep(INTERVAL_S)
