"""A bound on what a WebSocket client can have waiting at the server.

Quart keeps received messages in an unbounded queue. Here it is bounded, and a client that fills it is disconnected: a
queue that just blocked would also hide that the client has left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from quart.asgi import ASGIWebsocketConnection

from realtime.channel import Channel
from realtime.endpoints.departure import Departure
from realtime.light_event import LightEvent
from realtime.peer import Peer

MAX_WAITING = 2048
"""Messages; acks are small, and a client may send many of them."""
MAX_WAITING_BYTES = 1024 * 1024
LINGER_S = 2.0
"""How long a client may take to answer our close; what it sends meanwhile is dropped."""


class Inbox:
    """What a client sent and nobody has handled yet, bounded in messages and bytes."""

    def __init__(self) -> None:
        self._messages: deque[str | bytes] | None = None
        self._bytes = 0
        self._arrived = LightEvent()

    @property
    def full(self) -> bool:
        """True where nothing more may wait."""
        return self._messages is not None and (len(self._messages) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES)

    def put(self, message: str | bytes) -> None:
        """Add one message."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        self._bytes += len(message)
        self._arrived.set()

    async def get(self) -> str | bytes:
        """Take the oldest message, as soon as there is one. For one reader; cancelling takes none."""
        while self._messages is None:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        if not self._messages:
            self._messages = None  # most connections are silent most of the time
        return message


class BoundedWebsocket(ASGIWebsocketConnection):
    """Quart's WebSocket connection with an inbox that is bounded.

    Where the server delivers by itself what it receives, no task waits for that, and the handler runs in the server's
    own; else as in Quart.
    """

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve the connection from a bounded inbox."""
        self.queue: Any = Inbox()
        self._peer = Peer.of(self.scope)
        self._departure = Departure()
        channel = getattr(receive, "__self__", None)
        if not isinstance(channel, Channel):
            await super().__call__(receive, send)
            return
        channel.deliver_to(self._take)
        await self._departure.ends(self.handle_websocket(self._create_websocket_from_scope(send), send))
        if self._accepted:
            await self._see_off()

    async def handle_messages(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Take what is received until the client leaves."""
        while not self._departure.has_left():
            self._take(await receive())

    def _take(self, event: Any) -> None:
        """Keep a message for the handler; end a client that sends faster than it is served."""
        if event["type"] == "websocket.disconnect":
            self._departure.leave()
        elif event["type"] == "websocket.receive":
            if self.queue.full:
                self._peer.abort()
                if not self._peer.known:
                    self._departure.leave()
                return
            text = event.get("text")
            self.queue.put(event.get("bytes") or b"" if text is None else text)

    async def _see_off(self) -> None:
        """Wait for the client to answer our close: cut at once, it might not read that."""
        cut = asyncio.get_running_loop().call_later(LINGER_S, self._peer.abort)
        try:
            await self._departure.wait()
        finally:
            cut.cancel()
