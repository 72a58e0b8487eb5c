"""What guards long-lived connections with strangers; each guard is tried over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
from pathlib import Path

import websockets
from live import LiveServer, live_server
from raw_peer import raw_http, raw_socket
from seeded import all_gone, seed_run

from realtime import guards


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
        async with asyncio.timeout(10):
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
    async with asyncio.timeout(10):
        while peers:
            await asyncio.sleep(0.005)
