"""The client may leave at any time; what is done for it then ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from realtime.light_event import LightEvent


class Departure:
    """Whether the client has left, and what that ends."""

    def __init__(self) -> None:
        self._left = LightEvent()
        self._on_left: Callable[[], object] | None = None

    def has_left(self) -> bool:
        """True once it has left."""
        return self._left.is_set()

    def leave(self) -> None:
        """It has."""
        self._left.set()
        if self._on_left is not None:
            self._on_left()

    async def ends(self, work: Coroutine[object, object, None]) -> None:
        """Do ``work`` in the current task until it is done, or cancel it as soon as the client leaves."""
        task = asyncio.current_task()
        if task is None or self.has_left():
            work.close()
            return
        self._on_left = task.cancel
        try:
            await work
            if self.has_left():
                await asyncio.sleep(0)  # it may have left just as the work was done
        except asyncio.CancelledError:
            if not self.has_left():
                raise
            task.uncancel()
        finally:
            self._on_left = None

    async def wait(self) -> None:
        """Return when it has left."""
        await self._left.wait()
