"""How bytes leave to one connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from realtime.events import Event

Message = TypeVar("Message", str, bytes)

MARK_BYTES = 64 * 1024
"""With this much waiting, a connection takes no more events: its viewers lag, each at its own cursor."""
LIMIT_BYTES = 1024 * 1024
"""With this much waiting (control frames that nobody reads), the connection is given up."""


class AsgiOutlet(Generic[Message]):
    """The portable outlet: messages wait here, bounded in bytes, until the connection's one writer sends them.

    It works with any ASGI server and HTTP version. The writer is whoever iterates: ``async for message in outlet``
    ends after `finish`, when everything before it has been taken.
    """

    def __init__(self, encode: Callable[[Event], Message]) -> None:
        self._encode: Callable[[Event], Message] = encode
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._finished = False
        self._overflowed = False
        self._stalled_since: float | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def ready(self) -> bool:
        """True while it takes more events."""
        return self._bytes < MARK_BYTES and not self._finished

    @property
    def waiting_bytes(self) -> int:
        """How much waits."""
        return self._bytes

    @property
    def stalled_since(self) -> float | None:
        """Since when, by the monotonic clock, messages wait and none is taken; None: nothing waits."""
        return self._stalled_since

    @property
    def overflowed(self) -> bool:
        """True for good once a message was dropped because more waited than a connection may owe."""
        return self._overflowed

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when everything that waits has been taken; never if it is finished before."""
        self._callbacks.append(callback)

    async def wait_ready(self) -> None:
        """Return as soon as it takes more; a connection reads no further frames before."""
        await self._drained.wait()

    def send_events(self, events: Sequence[Event]) -> int:
        """Send these events, in this order, until the mark is reached; how many that were, at least one."""
        for taken, event in enumerate(events, 1):
            self._put(self._encode(event))
            if not self.ready:
                return taken
        return len(events)

    def send(self, message: Message) -> None:
        """Send one message after those that wait."""
        if self._bytes < LIMIT_BYTES:
            self._put(message)
        else:
            self._overflowed = True

    def _put(self, message: Message) -> None:
        if self._finished:
            return
        if not self._messages:
            self._stalled_since = time.monotonic()
        self._messages.append(message)
        self._bytes += len(message)
        if self._bytes >= MARK_BYTES:
            self._drained.clear()
        self._arrived.set()

    def finish(self) -> None:
        """Nothing more will be sent; the writer ends after what waits."""
        self._finished = True
        self._callbacks.clear()
        self._drained.set()
        self._arrived.set()

    def __aiter__(self) -> AsgiOutlet[Message]:
        return self

    async def __anext__(self) -> Message:
        """The next message, as soon as there is one. Cancelling loses none."""
        while not self._messages:
            if self._finished:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        self._stalled_since = time.monotonic() if self._messages else None
        if not self._messages:
            self._become_ready()
        return message

    def _become_ready(self) -> None:
        self._drained.set()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
