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

MAX_WAITING = 2048
"""Messages; acks are small, and a client may send many of them."""
MAX_WAITING_BYTES = 1024 * 1024
LINGER_S = 2.0
"""How long a client may take to answer our close; what it sends meanwhile is dropped."""


class Inbox(asyncio.Queue[str | bytes]):
    """What a client sent and nobody has handled yet, bounded in messages and bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def full(self) -> bool:
        """True where nothing more may wait."""
        return self.qsize() >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES

    def _put(self, item: str | bytes) -> None:
        super()._put(item)
        self._bytes += len(item)

    def _get(self) -> str | bytes:
        item = super()._get()
        self._bytes -= len(item)
        return item


class BoundedWebsocket(ASGIWebsocketConnection):
    """Quart's WebSocket connection with an inbox that is bounded."""

    async def handle_messages(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Queue what is received until the client leaves; end a client that sends faster than it is served."""
        peer = Peer.of(self.scope)
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                self._left = True
                return
            if event["type"] != "websocket.receive":
                continue
            message = event.get("text")
            try:
                self.queue.put_nowait(event.get("bytes") or b"" if message is None else message)
            except asyncio.QueueFull:
                peer.abort()
                if not peer.known:
                    return

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve the connection from a bounded queue."""
        self.queue = Inbox()
        self._left = False
        await super().__call__(receive, send)
        if self._accepted and not self._left:
            await self._see_off(receive)

    async def _see_off(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Drop what a client still sends until it leaves: Hypercorn would wait for ever for somebody to take it."""
        peer = Peer.of(self.scope)
        if not peer.known:
            return
        cut = asyncio.get_running_loop().call_later(LINGER_S, peer.abort)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            cut.cancel()
