"""Units of work that run to their end, whatever becomes of those who asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from orchestrator.errors import StoreError

Result = TypeVar("Result")


class InFlight:
    """Every unit of work in a task of its own: a cancelled caller leaves, the work goes on.

    A cancellation that reaches a database driver in the middle of a statement breaks its connection.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What ``work`` returns or raises.

        Raises:
            StoreError: `finish` has been called; ``work`` was not begun.

        """
        if self._closed:
            work.close()
            raise StoreError("The store is closed; expected no more work.")
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def finish(self, within_s: float | None = None) -> None:
        """Return when all work is done, or after ``within_s``; new work is refused from now on."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: a caller that left does not want it, and asyncio would complain


async def in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """What ``function`` returns or raises, in a thread that ends with it: asyncio's own would outlive the store."""
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)
