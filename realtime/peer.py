"""The other end of a connection, as far as the server lets us see it.

The server puts a `Peer` into each connection's ASGI state (``scope["state"]["peer"]``). Under a server that does not,
there is an unknown peer: its silence cannot be noticed, it cannot be cut off, and nothing is written to it directly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

STATE_KEY = "peer"


class Peer:
    """One TCP peer, or one stream of it where a connection has several; ``aborted``: `abort` was called."""

    def __init__(self, writer: asyncio.StreamWriter | None = None) -> None:
        self.aborted = False
        self._heard_at = time.monotonic()
        self._root = self
        self._writer = writer
        self._cut = None if writer is None else writer.transport.abort
        self._ping: Callable[[], Awaitable[None]] | None = None
        self._on_closing: Callable[[], None] | None = None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Peer:
        """The peer of an ASGI connection scope."""
        state = scope.get("state") or {}
        return cast("Peer", state.get(STATE_KEY)) or cls()

    def branch(self, cut: Callable[[], None]) -> Peer:
        """The peer of one of several streams of the connection, which `abort` ends by ``cut``, and no other."""
        branch = Peer(self._writer)
        branch._root = self._root
        branch._cut = cut
        return branch

    @property
    def heard_at(self) -> float:
        """When a byte of it was last read, by the monotonic clock."""
        return self._root._heard_at

    @property
    def known(self) -> bool:
        """True where ``heard_at`` follows what is read, and `abort` does something."""
        return self._writer is not None

    @property
    def writer(self) -> asyncio.StreamWriter | None:
        """Where bytes can be written to it past the server; None: nowhere, or no longer."""
        return None if self._writer is None or self._writer.is_closing() else self._writer

    def set_ping(self, ping: Callable[[], Awaitable[None]]) -> None:
        """From now on `ping` sends a WebSocket ping by this."""
        self._ping = ping

    async def ping(self) -> None:
        """Send a WebSocket ping, where that is possible: the pong lets the peer be heard."""
        if self._ping is not None:
            await self._ping()

    def heard(self) -> None:
        """A byte was read."""
        self._root._heard_at = time.monotonic()

    def call_when_closing(self, callback: Callable[[], None]) -> None:
        """Call back before the server says goodbye to the peer: after that nothing may be written to it."""
        self._on_closing = callback

    def closing(self) -> None:
        """The server is about to write the last that it writes."""
        if self._on_closing is not None:
            self._on_closing()

    def abort(self) -> None:
        """Cut the connection, or the stream, without waiting for anything."""
        self.aborted = True
        if self._cut is not None:
            self._cut()
