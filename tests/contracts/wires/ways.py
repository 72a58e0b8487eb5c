"""The ways by which a viewer reaches the server, each with the outlet that its events leave by."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from certificates import Secured
from contracts.wires.carriers import Header, Http1, Http2
from contracts.wires.connections import connected
from contracts.wires.viewers import Seen, Socket, SocketViewer, StreamViewer, Viewer
from live import LiveServer
from seeded import SeededRun

from realtime.asgi_outlet import AsgiOutlet
from realtime.direct_outlet import DirectOutlet
from realtime.peer import Peer

_HELLO_1 = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}
_HELLO_2 = {":protocol": "websocket"}
_HANDSHAKE = {"sec-websocket-version": "13", "sec-websocket-protocol": "runcast.v1"}


class Way(NamedTuple):
    """``http`` is what is spoken; ``portable``: the server is kept from writing past Hypercorn."""

    transport: str
    http: str = "1.1"
    tls: bool = False
    portable: bool = False

    def __str__(self) -> str:
        parts = [self.transport, f"http{self.http}", "tls" * self.tls, "portable" * self.portable]
        return "-".join(part for part in parts if part)

    @property
    def outlet(self) -> type[object]:
        """What events leave by."""
        return AsgiOutlet if self.portable or self.http != "1.1" else DirectOutlet

    @property
    def is_socket(self) -> bool:
        """True for WebSocket, False for SSE."""
        return self.transport == "socket"


SOCKET_WAYS = [Way("socket"), Way("socket", portable=True), Way("socket", tls=True), Way("socket", "2", tls=True)]
STREAM_WAYS = [
    Way("stream"),
    Way("stream", portable=True),
    Way("stream", "1.0"),
    Way("stream", tls=True),
    Way("stream", "2", tls=True),
]
WAYS = [*SOCKET_WAYS, *STREAM_WAYS]


class Place:
    """A server, and one way to it."""

    def __init__(self, server: LiveServer, way: Way, secured: Secured | None) -> None:
        self.server = server
        self.way = way
        self._secured = secured

    @contextlib.asynccontextmanager
    async def watch(
        self, run_id: str, cursor: int | str | None = None, *, token: str | None = None, slow: bool = False
    ) -> AsyncIterator[Viewer]:
        """A viewer of a run of the local user, or of whose token that is, from its first event or after ``cursor``.

        One that is slow holds little of what it was not asked for.
        """
        if self.way.is_socket:
            async with self.socket(token=token, slow=slow) as socket:
                watching = SocketViewer(socket, run_id)
                await watching.open(cursor)
                yield watching
            return
        async with self.connection(slow=slow) as carrier:
            await carrier.ask(stream_path(run_id), self.stream_headers(cursor, token))
            viewer = StreamViewer(carrier)
            await viewer.open()
            yield viewer

    @contextlib.asynccontextmanager
    async def socket(self, *, token: str | None = None, slow: bool = False) -> AsyncIterator[Socket]:
        """A WebSocket, not welcomed yet."""
        hello = _HELLO_2 if self.way.http == "2" else _HELLO_1
        async with self.connection(slow=slow) as carrier:
            await carrier.ask("/api/v1/ws", {**hello, **_HANDSHAKE, **self._identity(token)}.items())
            assert carrier.status == (200 if self.way.http == "2" else 101)
            yield Socket(carrier)

    @contextlib.asynccontextmanager
    async def connection(self, *, slow: bool = False) -> AsyncIterator[Http1 | Http2]:
        """A connection that nothing was asked for yet."""
        host = urlsplit(self.server.url)
        assert host.hostname is not None
        assert host.port is not None
        trust = None if self._secured is None else self._secured.trust()
        if trust is not None and self.way.http == "2":
            trust.set_alpn_protocols(["h2"])
        async with connected(host.hostname, host.port, trust, slow=slow) as made:
            yield Http2(made) if self.way.http == "2" else Http1(made, self.way.http)

    def stream_headers(self, cursor: int | str | None = None, token: str | None = None) -> Sequence[Header]:
        """What asks for an SSE stream."""
        resuming = {} if cursor is None else {"last-event-id": str(cursor)}
        return [*{**self._identity(token), **resuming}.items()]

    def outlets(self) -> set[type[object]]:
        """What all viewers there are have as outlets."""
        topics = self.server.home.backend.broadcaster._topics.values()
        return {type(subscription.outlet) for topic in topics for subscription in topic.subscriptions}

    def _identity(self, token: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {token or self.server.token}"}


def stream_path(run_id: str) -> str:
    """Where the run's SSE stream is."""
    return f"/api/v1/events/agent-runs/{run_id}"


def keep_portable(patch: pytest.MonkeyPatch) -> None:
    """Give every connection that is made from now on what it would have under another server."""
    patch.setattr(Peer, "writer", None)


async def stored(server: LiveServer, run: SeededRun) -> list[Seen]:
    """The run's log as the store has it."""
    events = await server.home.store.runs.read_events(run.key.tenant, run.id, 0, 100_000)
    return [Seen(run.id, event.id, event.type, event.payload.encode()) for event in events]
