"""Work beside the event loop, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made")


class Turns:
    """Work in a thread beside the event loop, where it holds up nobody: one piece at a time, in order of arrival."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def take(self, work: Callable[[], Made]) -> Made:
        """What ``work`` returns or raises. A caller who leaves keeps the turn until the thread is done with it."""
        await self._turn.acquire()
        task = asyncio.create_task(asyncio.to_thread(work))
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._turn.release()
        if not task.cancelled():
            task.exception()  # seen: a caller who left does not want it, and asyncio would complain
