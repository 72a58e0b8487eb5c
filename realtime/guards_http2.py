"""What Hypercorn 0.18 lacks on connections of HTTP/2 with strangers; `guards` puts it in place.

- what a peer does not read piles up: more is taken only when little waits, and the end is not waited for without end.
- method and path may have any bytes, and raise where they are not ASCII: they are percent-encoded.
- data for a stream that has ended raises, and all of the connection ends: it is dropped.
- one stream that is stuck cannot be ended without the others: each has a `Peer` of its own, which resets it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote_from_bytes

from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived
from h2.events import Event as WireEvent
from h2.exceptions import ProtocolError
from hypercorn.protocol import h2
from hypercorn.protocol.events import Event, Request
from hypercorn.typing import ConnectionState

from realtime.peer import STATE_KEY, Peer

DRAIN_S = 30.0
"""How long the last of an answer over HTTP/2, less than `h2.BUFFER_HIGH_WATER` bytes, may wait for its peer."""


class HoldingBuffer(h2.StreamBuffer):
    """What waits for its peer: more is taken only when little does, and its end is not waited for without end."""

    async def push(self, data: bytes) -> None:
        """Add ``data`` and return when little waits."""
        await self._paused.clear()
        await super().push(data)

    async def pop(self, max_length: int) -> bytes:
        """Take the oldest, up to so many bytes."""
        length = min(len(self.buffer), max_length)
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        if len(self.buffer) < h2.BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data

    async def drain(self) -> None:
        """Return when nothing waits.

        Raises:
            BufferCompleteError: something still does after `DRAIN_S`.

        """
        try:
            async with asyncio.timeout(DRAIN_S):
                await super().drain()
        except TimeoutError:
            raise h2.BufferCompleteError from None


_PRINTABLE = bytes(range(0x21, 0x7F))


class PatientProtocol(h2.H2Protocol):
    """A connection on which any bytes may be asked for, and one stream can be cut."""

    async def _handle_events(self, events: list[WireEvent]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            else:
                await super()._handle_events([event])
        await self._flush()

    async def cut(self, stream_id: int) -> None:
        """Reset a stream, whatever waits to be sent on it; the others go on (RFC 9113, 5.4.2)."""
        with contextlib.suppress(ProtocolError):
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        if stream_id in self.stream_buffers:
            await self.stream_buffers[stream_id].close()
        await self._close_stream(stream_id)
        await self._window_updated(stream_id)
        await self._flush()

    async def _create_stream(self, request: RequestReceived) -> None:
        request.headers = [
            (name, quote_from_bytes(value, _PRINTABLE).encode() if name in {b":method", b":path"} else value)
            for name, value in request.headers or []
        ]
        await super()._create_stream(request)


def with_own_peer(request: Request, send: Callable[[Event], Awaitable[None]]) -> Request:
    """``request`` with a peer that is its stream alone, where ``send`` is that of a connection with several."""
    connection = getattr(send, "__self__", None)
    if not isinstance(connection, PatientProtocol):
        return request
    peer = Peer.of({"state": request.state})
    own = peer.branch(lambda: connection.task_group.spawn(connection.cut, request.stream_id))
    return replace(request, state=ConnectionState({**request.state, STATE_KEY: own}))
