"""A bound on what a WebSocket client can have waiting at the server.

Quart keeps received messages in an unbounded queue. Here it is bounded, and a client that fills it is disconnected: a
queue that just blocked would also hide that the client has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quart.asgi import ASGIWebsocketConnection

from realtime.peer import Peer

MAX_WAITING = 128


class BoundedWebsocket(ASGIWebsocketConnection):
    """Quart's WebSocket connection with at most ``MAX_WAITING`` messages not yet handled."""

    async def handle_messages(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Queue what is received until the client leaves; end a client that sends faster than it is served."""
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if event["type"] != "websocket.receive":
                continue
            message = event.get("text")
            try:
                self.queue.put_nowait(event.get("bytes") or b"" if message is None else message)
            except asyncio.QueueFull:
                Peer.of(self.scope).abort()
                return

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve the connection from a bounded queue."""
        self.queue = asyncio.Queue(maxsize=MAX_WAITING)
        await super().__call__(receive, send)
