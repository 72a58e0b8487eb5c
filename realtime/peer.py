"""The other end of a connection, as far as the server lets us see it.

The server puts a `Peer` into each connection's ASGI state (``scope["state"]["peer"]``). Under a server that does not,
there is an unknown peer: its silence cannot be noticed and it cannot be cut off, that is then the server's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

STATE_KEY = "peer"


class Peer:
    """One TCP peer. ``heard_at`` is when a byte of it was last read, by the monotonic clock."""

    def __init__(self, transport: asyncio.WriteTransport | None = None) -> None:
        self.heard_at = time.monotonic()
        self._transport = transport
        self._ping: Callable[[], Awaitable[None]] | None = None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Peer:
        """The peer of an ASGI connection scope."""
        state = scope.get("state") or {}
        return cast("Peer", state.get(STATE_KEY)) or cls()

    @property
    def known(self) -> bool:
        """True where ``heard_at`` follows what is read, and `abort` does something."""
        return self._transport is not None

    def set_ping(self, ping: Callable[[], Awaitable[None]]) -> None:
        """From now on `ping` sends a WebSocket ping by this."""
        self._ping = ping

    async def ping(self) -> None:
        """Send a WebSocket ping, where that is possible: the pong lets the peer be heard."""
        if self._ping is not None:
            await self._ping()

    def heard(self) -> None:
        """A byte was read."""
        self.heard_at = time.monotonic()

    def abort(self) -> None:
        """Cut the connection without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()
