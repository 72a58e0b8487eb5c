"""How bytes leave to one connection: straight to its transport, or through any ASGI server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from realtime.page import Page

Message = TypeVar("Message", str, bytes)

MARK_BYTES = 64 * 1024
"""With this much waiting, a connection takes no more events: its viewers lag, each at its own cursor."""
LIMIT_BYTES = 1024 * 1024
"""With this much waiting (control frames that nobody reads), the connection is given up."""


class Outlet(Protocol):
    """How the events of runs leave to one connection. No function waits."""

    @property
    def ready(self) -> bool:
        """True while it takes more."""
        ...

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when it takes more again; never if it is closed before."""
        ...

    def send_page(self, page: Page) -> int:
        """Send the events of a page, which is not empty, in their order; how many bytes that are."""
        ...


class MessageOutlet(Outlet, Protocol):
    """An outlet that sends text messages between the events, in the order of the calls."""

    @property
    def sent_at(self) -> float:
        """When something was last sent, by the monotonic clock."""
        ...

    @property
    def stalled_since(self) -> float | None:
        """Since when, by the monotonic clock, the peer is behind and takes nothing; None: it is not."""
        ...

    @property
    def overflowed(self) -> bool:
        """True for good once a message was dropped because more waited than a connection may owe."""
        ...

    async def wait_ready(self) -> None:
        """Return as soon as it takes more, or is finished; a connection reads no further frames before."""
        ...

    def send(self, message: str) -> None:
        """Send one message after those that wait."""
        ...

    def finish(self) -> None:
        """Nothing more will be sent than what waits. Finishing twice is finishing once."""
        ...

    def cut(self) -> None:
        """Nothing more will be sent, not even what waits."""
        ...


class DirectOutlet(Generic[Message]):
    """Ready bytes, written to the transport of a connection past the server that speaks on it.

    It writes whole frames or chunks only, and nothing once it is finished; so may the server, in between. What the
    transport has not sent yet is looked at before each page: over the mark, the viewer lags until it has drained.
    ``page_bytes`` and ``message_bytes`` say how each is written.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        page_bytes: Callable[[Page], bytes],
        message_bytes: Callable[[Message], bytes],
    ) -> None:
        self.sent_at = time.monotonic()
        self.stalled_since: float | None = None
        self.overflowed = False
        self.finished = False
        self._writer = writer
        self._transport = writer.transport
        self._transport.set_write_buffer_limits(high=MARK_BYTES)
        self._page_bytes = page_bytes
        self._message_bytes: Callable[[Message], bytes] = message_bytes
        self._draining: asyncio.Task[None] | None = None
        self._finishing: asyncio.Future[None] | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def ready(self) -> bool:
        """True while it takes more events."""
        return not (self.finished or self._draining or self._transport.is_closing())

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when little is left to send; never if it is finished or the connection is lost before."""
        self._callbacks.append(callback)

    async def wait_ready(self) -> None:
        """Return as soon as it takes more, or is finished."""
        if self._draining is not None:
            await asyncio.wait({self._draining})

    def send_page(self, page: Page) -> int:
        """Write the events of a page at once."""
        data = self._page_bytes(page)
        self._write(data)
        return len(data)

    def send(self, message: Message) -> None:
        """Write one message at once."""
        if self.finished or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() < LIMIT_BYTES:
            self._write(self._message_bytes(message))
        else:
            self.overflowed = True

    def finish(self) -> None:
        """Nothing more is written."""
        self.finished = True
        self._callbacks.clear()
        if self._draining is not None:
            self._draining.cancel()
        if self._finishing is not None and not self._finishing.done():
            self._finishing.set_result(None)

    def cut(self) -> None:
        """Nothing more is written; with what is not sent yet, the connection is cut."""
        self.finish()
        if self._transport.get_write_buffer_size() > 0:
            self._transport.abort()

    async def wait_finished(self) -> None:
        """Return when it is finished. For one waiter."""
        if not self.finished:
            self._finishing = asyncio.get_running_loop().create_future()
            await self._finishing

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self.sent_at = time.monotonic()
        if self._draining is None and self._transport.get_write_buffer_size() > MARK_BYTES:
            self.stalled_since = self.sent_at
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            return  # the connection is lost; whoever reads from it notices
        finally:
            self._draining = self.stalled_since = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class AsgiOutlet(Generic[Message]):
    """The portable outlet: messages wait here, bounded in bytes, until the connection's one writer sends them.

    It works with any ASGI server and HTTP version. The writer is whoever iterates: ``async for message in outlet``
    ends after `finish`, when everything before it has been taken. ``messages`` says how a page is sent.
    """

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
