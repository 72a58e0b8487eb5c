"""What delivery counts of itself, beside what real viewers of a real server have got."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from live import LiveServer, LiveSocket, live_server
from metric_values import count, counted, labelled
from raw_peer import RawHttp, RawSocket, raw_http, raw_socket
from seeded import SeededRun, all_gone, seed_run
from websockets.frames import Frame, Opcode

from realtime.events import Event
from realtime.page import PAGE_EVENTS

BIG = "x" * 20_000
"""With the label of 500 such events no socket buffer holds the log, nor does the tail."""


def stream_of(run: SeededRun) -> str:
    """Where the run's SSE stream is."""
    return f"/api/v1/events/agent-runs/{run.id}"


def after(server: LiveServer, cursor: int | str) -> dict[str, str]:
    """The headers of an SSE viewer that comes back."""
    return {**server.headers, "Last-Event-ID": str(cursor)}


async def subscribe(viewer: LiveSocket, run: SeededRun, **more: Any) -> dict[str, Any]:
    """Watch the run; the answer."""
    return await viewer.ask({"op": "subscribe", "run_id": run.id, **more})


async def fill(run: SeededRun) -> None:
    """Save and publish 500 large events."""
    for _ in range(10):
        await run.progress(*[BIG] * 50)


@contextlib.asynccontextmanager
async def unread_socket(server: LiveServer, run: SeededRun) -> AsyncIterator[RawSocket]:
    """A WebSocket that watches the run from its head, with little room, and has read nothing of it yet."""
    async with raw_socket(server.ws_url, server.headers, receive_buffer=4096) as raw:
        assert (await raw.read_json() or {})["op"] == "welcome"
        await raw.send({"op": "subscribe", "run_id": run.id, "from": "now"})
        assert (await raw.read_json() or {})["op"] == "subscribed"
        yield raw


@contextlib.asynccontextmanager
async def unread_stream(server: LiveServer, run: SeededRun) -> AsyncIterator[None]:
    """An SSE stream of the run with little room, of which nobody reads more than its first bytes."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = server.url.removeprefix("http://").split(":")
        await loop.sock_connect(connection, (host, int(port)))
        lines = ["GET", stream_of(run), f"HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token}\r\n\r\n"]
        await loop.sock_sendall(connection, " ".join(lines).encode())
        assert await loop.sock_recv(connection, 12) == b"HTTP/1.1 200"
        yield


async def read_frames(viewer: LiveSocket, upto: int) -> int:
    """Read events up to that id; the bytes of their frames on the wire."""
    size = 0
    for number in range(1, upto + 1):
        text = str(await viewer.connection.recv()).encode()
        assert f'"id":{number}'.encode() in text
        size += len(Frame(Opcode.TEXT, text).serialize(mask=False))
    return size


async def read_chunks(stream: RawHttp, upto: int) -> int:
    """Read chunks up to the event with that id; the bytes of those with events on the wire."""
    size = 0
    while f"id: {upto}\n".encode() not in (data := await stream.chunk()):
        size += 0 if data.startswith(b"retry:") else len(data) + len(f"{len(data):x}") + 4
    return size + len(data) + len(f"{len(data):x}") + 4


async def test_what_is_published_and_delivered_is_counted_to_the_byte(tmp_path: Path) -> None:
    """Events once, deliveries once a viewer, bytes as they are on the wire; a flush by size and by time."""
    async with live_server(tmp_path, with_document=False) as server, server.socket() as one, server.socket() as two:
        run = await seed_run(server)
        async with raw_http(server.url, stream_of(run), server.headers) as stream:
            size = await read_chunks(stream, 1)
            for viewer in (one, two):
                await subscribe(viewer, run)
                size += await read_frames(viewer, 1)
            assert count(server, "events_published_total") == 0
            assert count(server, "events_delivered_total") == 3
            await run.progress("a", "b", "c")
            size += await read_chunks(stream, 4)
            for viewer in (one, two):
                events = [str(await viewer.connection.recv()).encode() for _ in range(3)]
                size += sum(len(Frame(Opcode.TEXT, event).serialize(mask=False)) for event in events)
        assert count(server, "events_published_total") == 3
        assert count(server, "events_delivered_total") == 3 * 4
        assert count(server, "delivered_bytes_total") == size
        assert count(server, "flush_events_sum") == 3
        assert [count(server, "flush_events_bucket", bound) for bound in ("2.0", "5.0", "+Inf")] == [0, 1, 1]
        assert count(server, "flush_duration_seconds_count") == count(server, "publish_to_flush_seconds_count") == 1
        waited_s = count(server, "publish_to_flush_seconds_sum")
        assert 0 < count(server, "flush_duration_seconds_sum") <= waited_s < 1


async def test_what_is_published_to_nobody_is_no_flush(tmp_path: Path) -> None:
    """A flush has viewers: what came before them is in none, and stands among what they were due when they came."""
    async with live_server(tmp_path, with_document=False) as server, server.socket() as viewer:
        run = await seed_run(server)
        await run.progress("a", "b", "c")
        assert count(server, "events_published_total") == 3
        await subscribe(viewer, run)
        await viewer.events_until(4)
        assert count(server, "flush_events_count") == 0
        assert (count(server, "replay_events_count"), count(server, "replay_events_sum")) == (1, 4)
        await run.progress("d")
        await viewer.events_until(5)
        assert (count(server, "flush_events_count"), count(server, "flush_events_sum")) == (1, 1)


async def test_burst_of_more_than_a_page_is_one_flush_and_leaves_whole(tmp_path: Path) -> None:
    """What is published at once leaves to its end for viewers who are up to date, with nothing published after it."""
    burst = 3 * PAGE_EVENTS
    async with live_server(tmp_path, with_document=False) as server, server.socket(max_queue=None) as viewer:
        run = await seed_run(server)
        async with raw_http(server.url, stream_of(run), server.headers) as stream:
            await read_chunks(stream, 1)
            await subscribe(viewer, run)
            await viewer.events_until(1)
            await run.progress(*map(str, range(burst)))
            async with asyncio.timeout(30):
                assert [event["id"] for event in await viewer.events_until(burst + 1)] == [*range(2, burst + 2)]
                await read_chunks(stream, burst + 1)
        assert (count(server, "flush_events_count"), count(server, "flush_events_sum")) == (1, burst)
        assert count(server, "events_delivered_total") == 2 * (burst + 1)


async def test_cursor_served_from_memory_is_counted_as_tail(tmp_path: Path) -> None:
    """By header, by frame and by a kept ack; who brings none, or 0, was not there before."""
    async with live_server(tmp_path, with_document=False) as server, server.socket() as watcher:
        run = await seed_run(server)
        await subscribe(watcher, run)
        await run.progress("a", "b", "c")
        await watcher.events_until(4)
        async with server.socket() as viewer:
            await subscribe(viewer, run, last_event_id=0, client_id="laptop")
            await viewer.events_until(4)
            assert (await viewer.ask({"op": "ack", "run_id": run.id, "event_id": 3}))["op"] == "acked"
            assert (await viewer.ask({"op": "unsubscribe", "run_id": run.id}))["op"] == "unsubscribed"
            assert labelled(server, "resumes_total") == {"tail": 0, "store": 0, "reset": 0}
            assert (await subscribe(viewer, run, client_id="laptop"))["cursor"] == 3
            assert (await subscribe(viewer, run, last_event_id=4))["resumed"]
        async with raw_http(server.url, stream_of(run), after(server, 2)) as stream:
            await read_chunks(stream, 4)
        assert labelled(server, "resumes_total") == {"tail": 3, "store": 0, "reset": 0}
        assert count(server, "replay_events_count") == 5
        assert count(server, "replay_events_sum") == 1 + 4 + 1 + 0 + 2
        assert count(server, "replay_events_bucket", "0.0") == 1


async def test_cursor_served_after_a_restart_is_counted_as_store(tmp_path: Path) -> None:
    """A server that has just begun knows no run: who comes back is served from the log, on either transport."""
    async with live_server(tmp_path, with_document=False) as server:
        run = await seed_run(server)
        await run.progress("a", "b", "c")
        await run.finish()
    async with live_server(tmp_path, with_document=False) as server:
        async with server.socket() as viewer:
            await subscribe(viewer, run, last_event_id=2)
            assert [event["id"] for event in await viewer.events_until()] == [3, 4, 5]
        async with raw_http(server.url, stream_of(run), after(server, 4)) as stream:
            assert [event.id for event in await stream.events()] == [5]
        async with raw_http(server.url, stream_of(run), after(server, 5)) as stream:
            assert stream.status == 204
        assert labelled(server, "resumes_total") == {"tail": 0, "store": 2, "reset": 0}
        assert (count(server, "replay_events_count"), count(server, "replay_events_sum")) == (2, 3 + 1)
        await all_gone(server)


async def test_cursor_that_cannot_be_served_is_counted_as_reset(tmp_path: Path) -> None:
    """With its reason, on either transport; a log that is gone resets newcomers as well, who resume nothing."""
    async with live_server(tmp_path, with_document=False) as server, server.socket() as viewer:
        run = await seed_run(server)
        await run.finish()
        for cursor in (99, "x"):
            assert (await subscribe(viewer, run, last_event_id=cursor))["op"] == "reset"
            assert len(await viewer.events_until()) == 1
            async with raw_http(server.url, stream_of(run), after(server, cursor)) as stream:
                await stream.events()
        await server.home.store.drop_logs(server.home.user.tenant, 0)
        assert (await subscribe(viewer, run))["reason"] == "log_expired"
        for headers in (server.headers, after(server, 1)):
            async with raw_http(server.url, stream_of(run), headers) as stream:
                await stream.events()
        reasons = {"cursor_ahead_of_log": 2, "malformed_cursor": 2, "log_expired": 3}
        assert labelled(server, "resets_total") == reasons
        assert labelled(server, "resumes_total") == {"tail": 0, "store": 0, "reset": 5}
        assert count(server, "sse_ends_total", "finished") == 4


async def test_stalled_viewer_lags_until_it_has_drained_or_gone(tmp_path: Path) -> None:
    """Whoever takes nothing more is counted once, and no longer when it has caught up, or left."""
    async with live_server(tmp_path, stuck_timeout_s=60.0, with_document=False) as server:
        run = await seed_run(server)
        async with unread_socket(server, run) as draining, unread_socket(server, run), server.socket() as witness:
            await subscribe(witness, run, **{"from": "now"})
            async with unread_stream(server, run):
                assert count(server, "lagging_viewers") == 0
                filling = asyncio.ensure_future(fill(run))
                await witness.events_until(501)
                await filling
                assert count(server, "lagging_viewers") == 3
            await counted(server, 2, "lagging_viewers")
            while (await draining.read_json() or {}).get("id") != 501:
                pass
            await counted(server, 1, "lagging_viewers")
            assert count(server, "subscriptions") == 3
        await all_gone(server)
        assert count(server, "lagging_viewers") == 0
        assert count(server, "sse_ends_total", "client") == 1


async def test_memory_of_runs_is_told(tmp_path: Path) -> None:
    """How many runs are known and how much of their logs is held; a run that ended leaves with its last viewer."""
    async with live_server(tmp_path, with_document=False) as server, server.socket() as viewer:
        runs = [await seed_run(server) for _ in range(2)]
        size = 0
        for run in runs:
            await subscribe(viewer, run)
            await viewer.events_until(1)
            await run.progress("a", "b")
            await viewer.events_until(3)
            saved = await server.home.store.runs.read_events(run.key.tenant, run.id, 0, 10)
            size += sum(Event(run.id, event.id, event.type, event.payload).size for event in saved)
        assert (count(server, "runs_in_memory"), count(server, "tail_bytes")) == (2, size)
        for run in runs:
            await run.finish()
            await viewer.events_until()
        assert (count(server, "runs_in_memory"), count(server, "tail_bytes")) == (0, 0)


async def closed_with(viewer: LiveSocket) -> int | None:
    """The code that the server closes with."""
    await viewer.connection.wait_closed()
    return viewer.connection.close_code


async def test_every_way_a_socket_ends_is_counted(tmp_path: Path) -> None:
    """Each close code that the server has, and clients that leave."""
    async with live_server(tmp_path, stuck_timeout_s=0.5, with_document=False) as server:
        run = await seed_run(server)
        async with server.socket() as viewer:
            await viewer.send({"op": "ping", "ref": "x" * 70_000})
            assert await closed_with(viewer) == 4400
        async with server.socket() as viewer:
            await viewer.send({"op": "authenticate", "token": "nonsense"})
            assert await closed_with(viewer) == 4401
        async with server.socket() as viewer:
            await viewer.send({"op": "authenticate", "token": await server.user_with_role("owner")})
            assert await closed_with(viewer) == 4403
        async with server.socket(max_queue=None) as viewer:
            for _ in range(110):
                await viewer.send({"op": "ping"})
            assert await closed_with(viewer) == 4429
        async with unread_socket(server, run):
            await fill(run)
            await counted(server, 1, "websocket_closes_total", "4408")
        async with server.socket():
            pass
        await counted(server, 1, "websocket_closes_total", "client")
        async with server.socket() as unlucky, server.socket() as idle:
            await server.home.store.close()
            await unlucky.send({"op": "subscribe", "run_id": run.id})
            assert await closed_with(unlucky) == 1011
            await server.home.backend.broadcaster.drain()
            assert await closed_with(idle) == 1012
        codes = ("client", "1011", "1012", "4400", "4401", "4403", "4408", "4429")
        assert labelled(server, "websocket_closes_total") == {**dict.fromkeys(codes, 1), "cut": 0}


async def test_client_that_floods_a_busy_connection_is_counted_as_cut(tmp_path: Path) -> None:
    """Who reads nothing and sends on is cut off without a code, and did not leave by itself."""
    async with live_server(tmp_path, stuck_timeout_s=60.0, with_document=False) as server:
        run = await seed_run(server)
        async with unread_socket(server, run) as raw:
            await fill(run)
            await counted(server, 1, "lagging_viewers")
            with contextlib.suppress(ConnectionError):
                while True:
                    await raw.send({"op": "ack", "run_id": run.id, "event_id": 1})
        await counted(server, 1, "websocket_closes_total", "cut")
        assert count(server, "websocket_closes_total", "client") == 0


@contextlib.asynccontextmanager
async def streamed(server: LiveServer, run: SeededRun, token: str | None = None) -> AsyncIterator[RawHttp]:
    """An SSE stream of the run that has begun."""
    headers = server.headers if token is None else {"Authorization": f"Bearer {token}"}
    async with raw_http(server.url, stream_of(run), headers) as stream:
        await read_chunks(stream, 1)
        yield stream


async def finished(server: LiveServer, run: SeededRun) -> None:
    """The run ends."""
    async with streamed(server, run) as stream:
        await run.finish()
        await stream.events()


async def client(server: LiveServer, run: SeededRun) -> None:
    """The viewer leaves."""
    async with streamed(server, run) as stream:
        stream.cut()


async def expired(server: LiveServer, run: SeededRun) -> None:
    """The viewer's token is good for seconds."""
    async with streamed(server, run, server.tokens.issue(server.home.user, 3)) as stream:
        await stream.events()


async def forbidden(server: LiveServer, run: SeededRun) -> None:
    """The viewer's role is lost."""
    user = server.home.user
    async with streamed(server, run) as stream:
        await server.home.store.accounts.remove_member(user.tenant, server.home.project_id, user.id)
        await server.home.backend.access.check()
        await stream.events()


async def drained(server: LiveServer, run: SeededRun) -> None:
    """The server is told to end."""
    async with streamed(server, run) as stream:
        await server.home.backend.broadcaster.drain()
        await stream.events()


async def stuck(server: LiveServer, run: SeededRun) -> None:
    """The viewer reads nothing."""
    async with unread_stream(server, run):
        await fill(run)
        await counted(server, 1, "sse_ends_total", "stuck")


async def lost(server: LiveServer, run: SeededRun) -> None:
    """The viewer is so far behind that the log is gone before it has read it."""
    async with streamed(server, run) as stream:
        await fill(run)
        await counted(server, 1, "lagging_viewers")
        await run.finish()
        await server.home.store.drop_logs(server.home.user.tenant, 0)
        resets = [
            event.data["payload"]["reset"] for event in await stream.events() if "reset" in event.data["payload"]
        ]
        assert [reset["reason"] for reset in resets] == ["log_expired"]
    assert labelled(server, "resets_total") == {"log_expired": 1, "malformed_cursor": 0, "cursor_ahead_of_log": 0}


ENDS = [finished, client, expired, forbidden, drained, stuck, lost]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: str(end.__name__))
async def test_every_way_a_stream_ends_is_counted(tmp_path: Path, end: Callable[..., Any]) -> None:
    """By its reason, once; a request that only asks for the head of an answer is no stream."""
    patience_s = 2.0 if end is stuck else 60.0
    async with live_server(tmp_path, stuck_timeout_s=patience_s, with_document=False) as server:
        run = await seed_run(server)
        assert (await server.http.head(stream_of(run))).status_code == 200
        await end(server, run)
        await counted(server, 1, "sse_ends_total", end.__name__)
        await counted(server, 0, "connections", "sse")
        ends = labelled(server, "sse_ends_total")
        assert {reason: number for reason, number in ends.items() if number} == {end.__name__: 1}
