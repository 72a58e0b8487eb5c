"""What guards long-lived connections with strangers; each guard is tried over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import time
from pathlib import Path

import pytest
import websockets
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamReset
from h2.settings import SettingCodes
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, StreamBuffer
from live import LiveServer, live_server
from raw_peer import raw_http, raw_socket
from seeded import all_gone, seed_run

from realtime import guards, guards_http2


async def test_deflate_is_never_negotiated(server: LiveServer) -> None:
    """A client that offers permessage-deflate is served without it, and without any other extension."""
    offer = {**server.headers}
    async with websockets.connect(server.ws_url, compression="deflate", additional_headers=offer) as connection:
        assert "Sec-WebSocket-Extensions" in connection.request.headers
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        assert "welcome" in str(await connection.recv())


async def test_message_over_the_limit_is_not_buffered(server: LiveServer) -> None:
    """An endless message is ended with 1009 long before it has come whole, and the connection with it."""
    async with raw_socket(server.ws_url, server.headers) as raw:
        assert (await raw.read_json() or {})["op"] == "welcome"
        # a text frame that announces 64 MiB, masked with zeros, then as much of it as the server takes
        await raw.send(b"\x81\xff" + (64 * 1024 * 1024).to_bytes(8, "big") + bytes(4))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64 * 1024 * 1024:
                await raw.send(b"x" * 65536)
                sent += 65536
    assert sent < 32 * 1024 * 1024
    await all_gone(server)


async def test_flood_of_frames_disconnects(server: LiveServer) -> None:
    """A client that sends faster than it is served, and reads nothing, is cut; what waits for it is bounded."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frame = b"\x81\xfe" + (200).to_bytes(2, "big") + bytes(4) + b'{"op":"ping"}'.ljust(200)
    async with raw_socket(server.ws_url, server.headers, receive_buffer=4096) as raw:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 256 * 1024 * 1024:
                await raw.send(frame * 1000)
                sent += 1000 * len(frame)
    assert sent < 128 * 1024 * 1024
    await all_gone(server)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_fifty_abrupt_ends_leave_nothing_behind(tmp_path: Path) -> None:
    """Viewers of both transports that vanish leave no subscription, no connection and no task."""
    async with live_server(tmp_path) as server:
        run = await seed_run(server)
        path = f"/api/v1/events/agent-runs/{run.id}"
        await server.http.get("/healthz")
        config = peers_of(server)
        tasks = len(asyncio.all_tasks())
        for _ in range(25):
            async with raw_socket(server.ws_url, server.headers) as raw:
                assert (await raw.read_json() or {})["op"] == "welcome"
                await raw.send({"op": "subscribe", "run_id": run.id})
                assert (await raw.read_json() or {})["op"] == "subscribed"
                raw.cut()
            async with raw_http(server.url, path, server.headers) as stream:
                assert await stream.event() is not None
                stream.cut()
        await all_gone(server)
        async with asyncio.timeout(30):
            while len(asyncio.all_tasks()) > tasks or len(config) > 1:
                await asyncio.sleep(0.005)
        await run.progress("nobody sees this")
        assert server.home.backend.broadcaster.viewers == 0


def peers_of(server: LiveServer) -> set[object]:
    """The connections that the server's guards know now."""
    (config,) = [thing for thing in gc.get_objects() if type(thing) is guards.GuardedConfig and len(thing.peers) > 0]
    return config.peers  # type: ignore[return-value]


async def test_every_connection_has_its_peer_in_the_scope(server: LiveServer) -> None:
    """The guards know each connection while it lasts, and can cut all that are left."""
    async with server.socket() as socket:
        peers = peers_of(server)
        assert len(peers) == 1
        for peer in tuple(peers):
            peer.abort()  # type: ignore[attr-defined]
        await socket.connection.wait_closed()
        assert socket.connection.close_code == 1006


async def test_client_that_talks_on_after_its_refusal_is_let_go(server: LiveServer) -> None:
    """A refused client that goes on sending, and never closes, keeps no connection and no task of the server."""
    frame = b"\x81\xfe" + (200).to_bytes(2, "big") + bytes(4) + b'{"op":"ping"}'.ljust(200)
    async with raw_socket(server.ws_url, {"Authorization": "Bearer nonsense"}, answers=False) as raw:
        assert (await raw.read_json() or {})["code"] == "NOT_AUTHENTICATED"
        peers = peers_of(server)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await raw.send(frame * 20)
        await none_left(peers)


async def test_upload_that_goes_on_after_its_refusal_is_let_go(server: LiveServer) -> None:
    """A request that is refused before its body has come keeps no connection and no task of the server."""
    head = {"Content-Type": "application/json", "Content-Length": str(64 * 1024 * 1024)}
    path = f"{server.project}/documents"
    async with raw_http(server.url, path, head, method="POST") as answer:
        assert answer.status == 401
        peers = peers_of(server)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await answer.send(b"x" * 65536)
        await none_left(peers)


async def none_left(peers: set[object]) -> None:
    """Return when the server has let go of every connection."""
    async with asyncio.timeout(30):
        while peers:
            await asyncio.sleep(0.005)


class DeafPeer:
    """A client over HTTP/2 (prior knowledge) that gives the server no room for any body, and says no more."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._h2 = H2Connection(H2Configuration(client_side=True))

    async def __aenter__(self) -> DeafPeer:
        host, port = self._server.url.removeprefix("http://").split(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def get(self, path: str) -> None:
        """Ask for something."""
        stream_id = self._h2.get_next_available_stream_id()
        head = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "localhost"}
        head["authorization"] = f"Bearer {self._server.token}"
        self._h2.send_headers(stream_id, list(head.items()), end_stream=True)
        self._writer.write(self._h2.data_to_send())

    async def read_resets(self, count: int) -> None:
        """Return when the server has reset so many streams; the connection goes on."""
        while count:
            data = await self._reader.read(65536)
            assert data
            count -= sum(isinstance(event, StreamReset) for event in self._h2.receive_data(data))


def most_buffered() -> int:
    """The most that waits in one buffer of HTTP/2."""
    return max((len(thing.buffer) for thing in gc.get_objects() if issubclass(type(thing), StreamBuffer)), default=0)


async def test_peer_without_room_over_http2_is_bounded_and_cut(tmp_path: Path) -> None:
    """With a window of 0 a long log waits in the log, not in memory; after ``stuck_timeout_s`` streams are reset."""
    async with live_server(tmp_path, stuck_timeout_s=1.0) as server:
        run = await seed_run(server)
        for _ in range(10):
            await run.progress(*["x" * 900 + str(number) for number in range(100)])
        async with DeafPeer(server) as peer:
            started = time.monotonic()
            for _ in range(3):
                peer.get(f"/api/v1/events/agent-runs/{run.id}")
            async with asyncio.timeout(30):
                while most_buffered() < BUFFER_HIGH_WATER:
                    await asyncio.sleep(0.01)
                assert server.home.backend.quotas.connections.taken == 3
                await peer.read_resets(3)
            assert time.monotonic() - started >= 0.9
            assert most_buffered() < 2 * BUFFER_HIGH_WATER
        await all_gone(server)


async def test_end_of_an_answer_over_http2_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short answer that its peer has no room for gives its place back all the same."""
    monkeypatch.setattr(guards_http2, "DRAIN_S", 0.5)
    async with live_server(tmp_path) as server:
        run = await seed_run(server)
        await run.finish()
        taken = server.home.backend.quotas.connections
        async with DeafPeer(server) as peer:
            peer.get(f"/api/v1/events/agent-runs/{run.id}")
            async with asyncio.timeout(30):
                while not taken.taken:
                    await asyncio.sleep(0.002)
                while taken.taken:
                    await asyncio.sleep(0.002)
