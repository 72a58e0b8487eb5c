"""The outlet that works everywhere: HTTP/1.0, HTTP/2, and other servers than ours."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from realtime.outlet import LIMIT_BYTES, MARK_BYTES, Line, Message
from realtime.page import Page


class AsgiOutlet(Generic[Message]):
    """The portable outlet: messages wait here, bounded in bytes, until the connection's one writer sends them.

    It works with any ASGI server and HTTP version. The writer is whoever iterates: ``async for message in outlet``
    ends after `finish`, when everything before it has been taken. ``messages`` says how a page is sent.
    """

    line: Line | None = None

    def __init__(self, messages: Callable[[Page], Sequence[Message]]) -> None:
        self.sent_at = time.monotonic()
        self._messages_of: Callable[[Page], Sequence[Message]] = messages
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
        """Since when messages wait and none is taken; None: nothing waits."""
        return self._stalled_since

    @property
    def overflowed(self) -> bool:
        """True for good once a message was dropped."""
        return self._overflowed

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when everything that waits has been taken; never if it is finished before."""
        self._callbacks.append(callback)

    async def wait_ready(self) -> None:
        """Return as soon as it takes more, or is finished."""
        await self._drained.wait()

    def send_page(self, page: Page) -> int:
        """Have the events of a page wait after what does."""
        before = self._bytes
        for message in self._messages_of(page):
            self._put(message)
        return self._bytes - before

    def send(self, message: Message) -> None:
        """Have one message wait after those that do."""
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

    def cut(self) -> None:
        """Nothing more will be sent; what waits is dropped."""
        self.finish()
        self._messages.clear()
        self._bytes = 0

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
        self.sent_at = time.monotonic()
        self._stalled_since = self.sent_at if self._messages else None
        if not self._messages:
            self._become_ready()
        return message

    def _become_ready(self) -> None:
        self._drained.set()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
