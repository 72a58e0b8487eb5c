"""What may not touch a stream does not, and what ends one leaves nothing of it behind; over HTTP/1.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from contracts.wires.viewers import ENDED, rest_of, take
from contracts.wires.ways import Place, Way, stored
from live import LiveServer, live_server
from seeded import SeededRun, seed_run
from tls_stage import address_of, stream_of

from realtime import topic
from realtime.frames import CloseCode

STEP_S = 30.0
"""Within so many seconds must happen what a test waits for: less than a connection that is idle is kept."""
HEARTBEAT_S = 0.1
BIG = "x" * 40_000
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
CLOSE_FRAME = b"\x88\x82" + bytes(4) + CloseCode.NORMAL.to_bytes(2, "big")
PING_FRAME = b"\x89\x80" + bytes(4)
TEXT_FRAME = b"\x81\x8d" + bytes(4) + b'{"op":"ping"}'


async def publish_again(_: LiveServer, run: SeededRun) -> None:
    """Publish what viewers already have."""
    saved = await run.save(run.running("b"))
    for _again in range(3):
        run.publish(saved)


async def publish_over_a_gap(_: LiveServer, run: SeededRun) -> None:
    """Publish an event whose predecessor was saved and never published."""
    await run.save(run.running("b"))
    run.publish(await run.save(run.running("c")))


async def reconcile_before_publishing(server: LiveServer, run: SeededRun) -> None:
    """Have the comparison with the store find an event before it is published."""
    broadcaster = server.home.backend.broadcaster
    saved = await run.save(run.running("b"))
    await broadcaster.reconcile()
    while broadcaster._topics[run.key].head < saved[-1].id:
        await asyncio.sleep(0.002)
    run.publish(saved)


@pytest.mark.parametrize("happen", [publish_again, publish_over_a_gap, reconcile_before_publishing])
async def test_stream_gets_nothing_where_nothing_is_due_and_goes_on(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, happen: Callable[[LiveServer, SeededRun], Awaitable[None]]
) -> None:
    """The body stays whole to a strict reader, each event comes once, and its end is the end of the run."""
    monkeypatch.setattr(topic, "FLUSH_S", 0.0)  # each publish is a flush of its own, also one that brings nothing
    run = await seed_run(server)
    place = Place(server, Way("stream"), None)
    async with asyncio.timeout(STEP_S), place.watch(run.id) as viewer:
        await run.progress("a")
        arrived = await take(viewer, 2)
        assert place.outlets() == {place.way.outlet}
        await happen(server, run)
        await run.progress("d")
        await run.finish()
        arrived += await rest_of(viewer)
        assert await viewer.end() == ENDED
    assert arrived == await stored(place.server, run)
    assert [event.id for event in arrived] == list(range(1, len(arrived) + 1))


@contextlib.asynccontextmanager
async def connected(
    server: LiveServer, request: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which ``request`` was sent in one packet; little is read ahead of who reads from it."""
    reader, writer = await asyncio.open_connection(*address_of(server), limit=8192)
    try:
        writer.write(request)
        yield reader, writer
    finally:
        writer.transport.abort()


def get(path: str, token: str | None, headers: str = "") -> bytes:
    """A request with a token, or without."""
    identity = "" if token is None else f"Authorization: Bearer {token}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{identity}{headers}\r\n".encode()


async def nothing_left(server: LiveServer, tasks: int) -> None:
    """Return when all that connections took is given back, and there are no more than so many tasks."""
    backend = server.home.backend
    broadcaster, quotas = backend.broadcaster, backend.quotas
    while (
        broadcaster.viewers
        or broadcaster.guests
        or broadcaster.counts.lagging
        or quotas.connections.taken
        or quotas.subscriptions.taken
        or quotas.unidentified.taken
        or len(asyncio.all_tasks()) > tasks
    ):
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("behind", [False, True], ids=["prompt", "behind"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_viewer_that_asked_for_more_on_its_connection_and_left_is_gone(
    tmp_path: Path, behind: bool, reset: bool
) -> None:
    """A second request that waits for the end of the stream does not hide that its client is no longer there."""
    async with live_server(tmp_path, heartbeat_s=HEARTBEAT_S) as server:
        await server.http.get("/healthz")
        tasks = len(asyncio.all_tasks())
        run = await seed_run(server)
        counts = server.home.backend.broadcaster.counts
        async with asyncio.timeout(STEP_S):
            requests = get(stream_of(run), server.token) + get("/healthz", None)
            async with connected(server, requests) as (reader, writer):
                await reader.readuntil(b'"type":"queued"')
                while behind and not counts.lagging:
                    await run.progress(*[BIG] * 10)
                assert server.home.backend.quotas.connections.taken == 1
                (writer.transport.abort if reset else writer.close)()
            await nothing_left(server, tasks)


@pytest.mark.parametrize("frame", [TEXT_FRAME, PING_FRAME, CLOSE_FRAME], ids=["text", "ping", "close"])
@pytest.mark.parametrize("authorized", [True, False])
async def test_socket_that_sends_a_frame_with_its_handshake_is_refused_and_gone(
    server: LiveServer, authorized: bool, frame: bytes
) -> None:
    """The answer is 400 and not a byte more, and nothing of the connection is left."""
    await server.http.get("/healthz")
    tasks = len(asyncio.all_tasks())
    request = get("/api/v1/ws", server.token if authorized else None, UPGRADE)
    async with asyncio.timeout(STEP_S):
        async with connected(server, request + frame) as (reader, _):
            head, blank, body = (await reader.read()).partition(b"\r\n\r\n")
        assert (head.split(b" ")[1], blank) == (b"400", b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower().split(b"\r\n")
        await nothing_left(server, tasks)
