"""Work that holds a processor for seconds, in threads beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")

MOST_AT_ONCE = 4
"""Threads that work, those whose callers have left among them: each takes turns with the event loop."""


class SideWork:
    """At most `MOST_AT_ONCE` pieces of work at a time; whoever asks for more waits for one to end.

    A thread cannot be interrupted: a caller that is cancelled leaves at once, and the work goes on unheard. The
    process ends without waiting for it, as it would for threads of asyncio's own executor.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def do(self, function: Callable[..., Result], *arguments: object) -> Result:
        """What ``function`` returns or raises."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def end(tell: Callable[[], None]) -> None:
            self._places.release()
            if not outcome.cancelled():
                tell()

        def work() -> None:
            try:
                tell = partial(outcome.set_result, function(*arguments))
            except Exception as error:
                tell = partial(outcome.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(end, tell)

        try:
            Thread(target=work, name="offline model", daemon=True).start()
        except RuntimeError:  # the machine has no more threads
            self._places.release()
            raise
        return await outcome
