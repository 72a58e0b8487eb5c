"""Ready bytes straight to a connection's transport: what makes a viewer cost little more than the kernel's send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic

from realtime.light_event import LightEvent
from realtime.outlet import LIMIT_BYTES, MARK_BYTES, Line, Message
from realtime.page import Page


class DirectOutlet(Generic[Message]):
    """Ready bytes, written to the transport of a connection past the server that speaks on it.

    It writes whole frames or chunks only, and nothing once it is finished; so may the server, in between. What the
    transport has not sent yet is looked at before each page: over the mark, the viewer lags until it has drained.
    ``page_bytes`` and ``message_bytes`` say how each is written.
    """

    __slots__ = (
        *("_callbacks", "_draining", "_finished", "_message_bytes", "_transport", "_writer"),
        *("line", "overflowed", "stalled_since"),
    )

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        page_bytes: Callable[[Page], bytes],
        message_bytes: Callable[[Message], bytes],
    ) -> None:
        self.stalled_since: float | None = None
        self.overflowed = False
        self._finished = LightEvent()
        self._writer = writer
        self._transport = writer.transport
        self._transport.set_write_buffer_limits(high=MARK_BYTES)
        self.line = Line(self._transport, page_bytes)
        self._message_bytes: Callable[[Message], bytes] = message_bytes
        self._draining: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def finished(self) -> bool:
        """True once nothing more is written."""
        return self._finished.is_set()

    @property
    def sent_at(self) -> float:
        """When something was last written."""
        return self.line.sent_at

    @property
    def lost(self) -> bool:
        """True where the connection is closed, or about to be."""
        return self._transport.is_closing()

    @property
    def ready(self) -> bool:
        """True while it takes more events."""
        if self.finished or self._transport.is_closing():
            return False
        self._look()
        return self._draining is None

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when little is left to send; never if it is finished or the connection is lost before."""
        self._callbacks.append(callback)

    async def wait_ready(self) -> None:
        """Return as soon as it takes more, or is finished."""
        if self._draining is not None:
            await asyncio.wait({self._draining})

    def send_page(self, page: Page) -> int:
        """Write the events of a page at once."""
        data = self.line.page_bytes(page)
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
        self._finished.set()
        self.line.transport = None
        self._callbacks.clear()
        if self._draining is not None:
            self._draining.cancel()

    def cut(self) -> None:
        """Nothing more is written; with what is not sent yet, the connection is cut."""
        self.finish()
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() > 0:
            self._transport.abort()

    async def wait_finished(self) -> None:
        """Return when it is finished."""
        await self._finished.wait()

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self.line.sent_at = time.monotonic()
        self._look()

    def _look(self) -> None:
        """Over the mark, take no more until little is left."""
        if self._draining is None and self._transport.get_write_buffer_size() > MARK_BYTES:
            self.stalled_since = time.monotonic()
            self.line.transport = None
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            return  # the connection is lost; whoever reads from it notices
        finally:
            self._draining = self.stalled_since = None
        if self.finished or self._transport.is_closing():
            return  # so is it on TLS, without an error
        self.line.transport = self._transport
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
