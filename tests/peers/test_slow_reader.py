"""Readers that take nothing for a while and then little at a time, directly and through nginx."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest
from live import LiveServer
from peers.following import VIEW_S, parse_sse
from raw_peer import raw_socket
from seeded import SeededRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

BITE = 4096
EVENTS = 120
LABEL = "語" * 16_000
"""So the events are 5.8 MB together: more than the sockets on the way hold, even where there are two pairs."""


@contextlib.asynccontextmanager
async def stream(server: LiveServer, way: str, run: SeededRun) -> AsyncIterator[tuple[socket.socket, h11.Connection]]:
    """The run's SSE stream, of which nothing is read yet."""
    host = urlsplit(way)
    loop = asyncio.get_running_loop()
    parser = h11.Connection(h11.CLIENT)
    headers = {"Host": host.netloc, "Connection": "close", **server.headers}
    target = f"/api/v1/events/agent-runs/{run.id}"
    async with asyncio.timeout(VIEW_S):
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * BITE)
            await loop.sock_connect(connection, (host.hostname, host.port))
            request = parser.send(h11.Request(method="GET", target=target, headers=list(headers.items())))
            assert request is not None
            await loop.sock_sendall(connection, request)
            yield connection, parser


async def body_in_bites(connection: socket.socket, parser: h11.Connection) -> bytes:
    """The whole body of the answer, read in bites; that its framing holds is checked."""
    body = bytearray()
    while not isinstance(event := parser.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            parser.receive_data(await asyncio.get_running_loop().sock_recv(connection, BITE))
        elif isinstance(event, h11.Data):
            body += event.data
    return bytes(body)


def parse_body(body: bytes) -> list[dict[str, Any]]:
    """All events of a stream."""
    found = [parse_sse(block) for block in body.removesuffix(b"\n\n").split(b"\n\n")]
    return [event for event in found if event is not None]


async def publish_everything(server: LiveServer, run: SeededRun) -> None:
    """The rest of the run, at once, when it is watched."""
    async with asyncio.timeout(30):
        while not server.home.backend.broadcaster.viewers:
            await asyncio.sleep(0.002)
    await run.progress(*[LABEL] * EVENTS)
    await run.finish()


async def test_slow_reader_of_the_stream_gets_everything(server: LiveServer, run: SeededRun, way: str) -> None:
    """All is published while nothing is read; then it comes, whole and in order, up to the proper end."""
    async with stream(server, way, run) as (connection, parser):
        await publish_everything(server, run)
        body = await body_in_bites(connection, parser)
    assert parse_body(body) == await server.log(run.id)


@pytest.mark.parametrize("way", ["direct", "nginx-http11"], indirect=True)
async def test_slow_reader_of_the_websocket_gets_everything(server: LiveServer, run: SeededRun, way: str) -> None:
    """All is published while nothing is read; then it comes, whole and in order, up to ``finished``."""
    url = way.replace("http", "ws", 1) + "/api/v1/ws"
    frames: list[dict[str, Any]] = []
    async with asyncio.timeout(VIEW_S), raw_socket(url, server.headers, receive_buffer=4 * BITE) as viewer:
        await viewer.send({"op": "subscribe", "run_id": run.id})
        await publish_everything(server, run)
        while frames[-1:] != [{"op": "finished", "run_id": run.id}]:
            frame = await viewer.read_json()
            assert frame is not None, f"the connection ended after {len(frames)} frames"
            frames.append(frame)
    assert [frame for frame in frames if "op" not in frame] == await server.log(run.id)
