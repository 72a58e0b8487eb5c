"""Silence: heartbeats on both transports, and peers that let nothing be heard or take nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from live import LiveServer, live_server
from raw_peer import RawHttp, RawSocket, raw_http, raw_socket
from seeded import SeededRun, all_gone, seed_run

from realtime.direct_outlet import DirectOutlet
from realtime.outlet import MARK_BYTES
from realtime.page import PAGE_BYTES
from realtime.settings import Settings, SettingsError

BIG = "x" * 20_000
"""With the label of 500 such events no socket buffer holds the log, nor does the tail."""


@contextlib.asynccontextmanager
async def watched(raw: RawSocket, run_id: str) -> AsyncIterator[RawSocket]:
    """``raw`` subscribed to the run from its head on."""
    assert (await raw.read_json() or {})["op"] == "welcome"
    await raw.send({"op": "subscribe", "run_id": run_id, "from": "now"})
    while (answer := await raw.read_json() or {}).get("type") == "heartbeat":
        pass
    assert answer["op"] == "subscribed"
    yield raw


async def test_silent_sse_stream_beats_and_goes_on(tmp_path: Path) -> None:
    """Heartbeats come in silence, without id and with an empty payload; events come whole around them."""
    async with live_server(tmp_path, heartbeat_s=0.05) as server:
        run = await seed_run(server)
        seen: list[tuple[int | None, str]] = []
        async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", server.headers) as stream:
            await read_until_beats(stream, seen, 2)
            await run.progress("Reading")
            await read_until_beats(stream, seen, 3)
            await run.finish()
            seen += [(event.id, event.data["type"]) for event in await stream.events()]
        assert [event_id for event_id, kind in seen if kind != "heartbeat"] == [1, 2, 3]
        assert all(event_id is None for event_id, kind in seen if kind == "heartbeat")


async def read_until_beats(stream: RawHttp, seen: list[tuple[int | None, str]], beats: int) -> None:
    """Read until so many heartbeats have come in a row."""
    row = 0
    while row < beats:
        event = await stream.event(heartbeats=True)
        assert event is not None
        row = row + 1 if event.data["type"] == "heartbeat" else 0
        if row:
            assert event.data["payload"] == {}
        seen.append((event.id, event.data["type"]))


async def test_silent_socket_beats_pings_and_goes_on(tmp_path: Path) -> None:
    """Each heartbeat of a WebSocket has no id and comes with a ping; events come whole around them."""
    async with live_server(tmp_path, heartbeat_s=0.05) as server:
        run = await seed_run(server)
        async with raw_socket(server.ws_url, server.headers) as raw, watched(raw, run.id):
            for label in ("a", "b"):
                for _ in range(2):
                    assert await raw.read_json() == {"type": "heartbeat", "payload": {}}
                await run.progress(label)
                while (frame := await raw.read_json() or {})["type"] == "heartbeat":
                    pass
                assert frame["payload"]["progress_label"] == label
            await raw.send({"op": "ping"})
            while (await raw.read_json() or {}).get("op") != "pong":
                pass
        assert raw.pings >= 3


async def test_stream_that_is_not_silent_does_not_beat(tmp_path: Path) -> None:
    """While events flow no heartbeat is sent."""
    async with live_server(tmp_path, heartbeat_s=5.0) as server:
        run = await seed_run(server)
        async with raw_socket(server.ws_url, server.headers) as raw, watched(raw, run.id):
            for number in range(20):
                await run.progress(str(number))
                assert (await raw.read_json() or {})["id"] == number + 2


async def test_pongs_alone_keep_a_viewer(tmp_path: Path) -> None:
    """A client that sends nothing but pongs outlives the idle timeout more than twice."""
    async with live_server(tmp_path, heartbeat_s=0.1, idle_timeout_s=1.0) as server:
        run = await seed_run(server)
        started = time.monotonic()
        async with raw_socket(server.ws_url, server.headers) as raw, watched(raw, run.id):
            while time.monotonic() - started < 2.5:
                assert await raw.read_json() is not None
            await run.finish()
            while (frame := await raw.read_json()) is not None and frame.get("id") != 2:
                pass
            assert frame is not None


async def test_peer_that_answers_nothing_is_let_go(tmp_path: Path) -> None:
    """A peer that reads but never sends a byte is cut after idle_timeout_s; nothing of it is left."""
    async with live_server(tmp_path, heartbeat_s=0.1, idle_timeout_s=0.4) as server:
        run = await seed_run(server)
        started = time.monotonic()
        async with raw_socket(server.ws_url, server.headers, answers=False) as raw, watched(raw, run.id):
            while await raw.read_json() is not None:
                pass
            assert 0.4 <= time.monotonic() - started < 20
        await all_gone(server)


async def fill(run: SeededRun, count: int) -> None:
    """Save and publish so many large events."""
    for _ in range(0, count, 50):
        await run.progress(*[BIG] * 50)


async def test_peer_that_stops_reading_a_socket_is_cut_and_costs_nobody(tmp_path: Path) -> None:
    """Invariant 5: a WebSocket viewer that takes nothing for stuck_timeout_s is cut; others get every event."""
    async with live_server(tmp_path, stuck_timeout_s=0.5) as server:
        run = await seed_run(server)
        async with (
            server.socket(max_queue=None) as witness,
            raw_socket(server.ws_url, server.headers, receive_buffer=4096) as raw,
            watched(raw, run.id),
        ):
            await witness.send({"op": "subscribe", "run_id": run.id})
            await fill(run, 500)
            assert [event["id"] for event in await witness.events_until(501)] == list(range(1, 502))
            await only_viewers(server, 1)
            await run.finish()
            assert [event["id"] for event in await witness.events_until()] == [502]


async def test_peer_that_stops_reading_a_stream_is_cut_and_costs_nobody(tmp_path: Path) -> None:
    """Invariant 5: an SSE viewer that takes nothing for stuck_timeout_s is cut; others get every event."""
    async with live_server(tmp_path, stuck_timeout_s=0.5) as server:
        run = await seed_run(server)
        path = f"/api/v1/events/agent-runs/{run.id}"
        async with (
            raw_http(server.url, path, server.headers) as witness,
            unread(server, path),
        ):
            reading = asyncio.ensure_future(witness.events())
            await fill(run, 500)
            await only_viewers(server, 1)
            await run.finish()
            assert [event.id for event in await reading] == list(range(1, 503))
        await all_gone(server)


@contextlib.asynccontextmanager
async def unread(server: LiveServer, path: str) -> AsyncIterator[None]:
    """A request whose answer nobody reads, through a small window."""
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = server.url.removeprefix("http://").split(":")
    try:
        await loop.sock_connect(connection, (host, int(port)))
        head = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{head}\r\n".encode())
        assert await loop.sock_recv(connection, 16)
        yield
    finally:
        connection.close()


async def only_viewers(server: LiveServer, count: int) -> None:
    """Return when just so many subscriptions are left."""
    async with asyncio.timeout(20):
        while server.home.backend.broadcaster.viewers > count:
            await asyncio.sleep(0.01)


async def test_slow_viewer_is_fed_from_its_cursor_when_it_drains(tmp_path: Path) -> None:
    """Invariant 5: a viewer that pauses misses nothing; what waits for it in memory is bounded."""
    async with live_server(tmp_path, stuck_timeout_s=60.0) as server:
        run = await seed_run(server)
        async with raw_socket(server.ws_url, server.headers, receive_buffer=128 * 1024) as raw, watched(raw, run.id):
            await fill(run, 400)
            (subscription,) = next(iter(server.home.backend.broadcaster._topics.values())).subscriptions
            outlet = subscription.outlet
            assert isinstance(outlet, DirectOutlet)
            assert outlet.stalled_since is not None
            assert outlet._transport.get_write_buffer_size() < MARK_BYTES + 2 * PAGE_BYTES
            ids: list[Any] = []
            while len(ids) < 400:
                frame = await raw.read_json() or {}
                if "id" in frame:
                    ids.append(frame["id"])
        assert ids == list(range(2, 402))


@pytest.mark.parametrize("field", ["heartbeat_s", "idle_timeout_s", "stuck_timeout_s", "identify_timeout_s"])
def test_interval_that_is_not_positive_is_refused(field: str) -> None:
    """An interval of nothing would be a busy loop: it is refused where settings are made."""
    with pytest.raises(SettingsError, match=field):
        Settings(**{field: 0.0})  # type: ignore[arg-type]


async def test_viewer_that_sends_nothing_outlives_a_busy_run(tmp_path: Path) -> None:
    """While events flow the peer is asked for signs of life all the same: a viewer need send nothing to live."""
    async with live_server(tmp_path, heartbeat_s=0.1, idle_timeout_s=1.0) as server, server.socket() as viewer:
        run = await seed_run(server)
        await viewer.send({"op": "subscribe", "run_id": run.id})
        began = time.monotonic()
        number = 0
        while time.monotonic() - began < 2.5:
            number += 1
            await run.progress(f"label {number}")
            frame = await viewer.receive()
            while frame.get("type") != "running":
                frame = await viewer.receive()
        assert frame["payload"]["progress_label"] == f"label {number}"


def test_silence_is_told_after_fifteen_seconds_by_default() -> None:
    """Heartbeats come after 15 s, and a peer is given up after 45 s, where nothing else is set."""
    settings = Settings()
    assert (settings.heartbeat_s, settings.idle_timeout_s, settings.stuck_timeout_s) == (15.0, 45.0, 30.0)


@pytest.mark.parametrize("bad", [{"heartbeat_s": 60.0}, {"heartbeat_s": float("nan")}, {"idle_timeout_s": 20.0}])
def test_timeouts_that_would_cut_the_living_are_refused(bad: dict[str, float]) -> None:
    """A peer must have had time to answer a ping before it is given up."""
    with pytest.raises(SettingsError):
        Settings(**bad)
