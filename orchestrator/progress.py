"""How far a step is, told as often as viewers profit from it, and told also when nothing moves."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from orchestrator.errors import StoreError
from orchestrator.ports import Clock

_log = structlog.get_logger(__name__)

INTERVAL_S = 1 / 3
"""With the start of the attempt, which is told at once, at most four a second per step."""

STALLED_S = 60.0
"""An agent that makes no progress for so long is said to stall."""


class SaveProgress(Protocol):
    """Save how far a step is, as an event that viewers see."""

    async def __call__(self, percent: int, label: str, *, stalled: bool) -> None:
        """Return when it is saved.

        Raises:
            StoreError: it is not.

        """
        ...


class ProgressMeter:
    """Joins an agent's reports: the newest is saved when it differs from the last saved, not more often than allowed.

    The percentage is kept within 0 to 100 and never falls. Where none differs for `STALLED_S`, that is saved.
    """

    def __init__(self, save: SaveProgress, clock: Clock, label: str) -> None:
        self.percent = 0
        self._label = label
        self._saved = (0, label, False)
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
            stalled = not await self._changes()
            self._changed.clear()
            label = f"{self._label} (no progress for {STALLED_S:g} s)" if stalled else self._label
            newest = (self.percent, label, stalled)
            if self._saved != newest:
                try:
                    await self._save(self.percent, label, stalled=stalled)
                    self._saved = newest
                    told = False
                except StoreError as error:
                    if not told:
                        _log.warning("progress cannot be saved yet", reason=str(error))
                    told = True
                    self._changed.set()
                await self._clock.sleep(INTERVAL_S)

    async def _changes(self) -> bool:
        """Wait for a report that differs. False: none came for too long."""
        changed = asyncio.ensure_future(self._changed.wait())
        patience = asyncio.ensure_future(self._clock.sleep(STALLED_S))
        try:
            await asyncio.wait({changed, patience}, return_when=asyncio.FIRST_COMPLETED)
            return changed.done()
        finally:
            for task in (changed, patience):
                task.cancel()
            await asyncio.gather(changed, patience, return_exceptions=True)
