"""A server that dies or is told to stop: what viewers see then, and that they continue where they were."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path

import pytest
import websockets
from live import ALL_AGENTS, GatedModel, LiveServer, live_server
from process_stage import payload, read_socket, read_stream, socket_of, start_run, stream_of, until
from raw_peer import raw_http, raw_socket
from seeded import seed_run
from server_process import server_process

from realtime.server import ServerError, serve
from realtime.settings import Settings
from realtime.wiring import HomeLockedError


async def test_unfinished_run_killed_with_its_server_goes_on_after_restart(
    tmp_path: Path, database_url: str | None
) -> None:
    """After ``kill -9`` within a step the run continues; its viewers get contiguous ids and equal bytes."""
    async with server_process(tmp_path, database_url) as process:
        run_id = await start_run(process)
        by_stream: list[bytes] = []
        by_socket: list[str] = []
        process.release("ba_consultant")
        async with stream_of(process, run_id) as stream, socket_of(process, run_id) as connection:
            reading = [
                asyncio.ensure_future(read_stream(stream, by_stream)),
                asyncio.ensure_future(read_socket(connection, by_socket)),
            ]
            await until(lambda: len(by_stream) >= 7 and len(by_socket) >= 7)
            await process.kill()
            await asyncio.gather(*reading)
        await process.start()
        process.release(*ALL_AGENTS)
        async with (
            stream_of(process, run_id, len(by_stream)) as stream,
            socket_of(process, run_id, len(by_socket)) as connection,
        ):
            await asyncio.gather(read_stream(stream, by_stream), read_socket(connection, by_socket))
        replayed: list[bytes] = []
        async with stream_of(process, run_id) as stream:
            await read_stream(stream, replayed)
    frames = [json.loads(text) for text in by_socket]
    assert [frame["id"] for frame in frames] == list(range(1, len(frames) + 1))
    assert by_stream == replayed
    assert [payload(text) for text in by_socket] == [payload(raw.decode().strip()) for raw in replayed]
    assert frames[-1]["payload"] == {"run_id": run_id, "all_done": True, "at": frames[-1]["payload"]["at"]}
    attempts = [frame["payload"]["attempt"] for frame in frames if frame["type"] == "running"]
    assert max(attempts) == 2
    completed = [frame["payload"]["agent_type"] for frame in frames if "artifact_id" in frame["payload"]]
    assert completed == ALL_AGENTS


async def test_viewers_before_and_after_a_kill_see_equal_sequences(tmp_path: Path, database_url: str | None) -> None:
    """Viewers from the start, late, and of the finished run after ``kill -9`` and restart get equal bytes."""
    async with server_process(tmp_path, database_url) as process:
        run_id = await start_run(process)
        early: list[bytes] = []
        late: list[bytes] = []
        async with stream_of(process, run_id) as first:
            reading = asyncio.ensure_future(read_stream(first, early))
            process.release("ba_consultant")
            await until(lambda: len(early) >= 6)
            async with stream_of(process, run_id) as second:
                process.release(*ALL_AGENTS)
                await read_stream(second, late)
            await reading
        await process.kill()
        await process.start()
        after: list[bytes] = []
        async with stream_of(process, run_id) as third:
            await read_stream(third, after)
        by_socket: list[str] = []
        async with socket_of(process, run_id) as connection:
            await read_socket(connection, by_socket)
    assert early == late == after
    assert [payload(text) for text in by_socket] == [payload(raw.decode().strip()) for raw in after]


async def test_sigterm_tells_every_viewer_and_ends_soon(tmp_path: Path) -> None:
    """On SIGTERM sockets get ``draining`` and 1012, streams a proper end; the process soon exits with 0."""
    async with server_process(tmp_path) as process:
        run_id = await start_run(process)
        async with stream_of(process, run_id) as stream, socket_of(process, run_id) as connection:
            seen: list[bytes] = []
            reading = asyncio.ensure_future(read_stream(stream, seen))
            await until(lambda: len(seen) >= 4)
            started = time.monotonic()
            code = await process.terminate()
            took = time.monotonic() - started
            await reading
            frames = []
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    frames.append(json.loads(await connection.recv()))
        assert code == 0
        assert took < 5
        assert frames[-1]["op"] == "draining"
        assert frames[-1]["retry_after_ms"] > 0
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert not (tmp_path / "server.json").exists()
        await process.start()
        process.release(*ALL_AGENTS)
        async with stream_of(process, run_id, len(seen)) as stream:
            await read_stream(stream, seen)
    ids = [int(raw.split(b"\n")[0].removeprefix(b"id: ")) for raw in seen]
    assert ids == list(range(1, len(ids) + 1))
    assert b'"all_done":true' in seen[-1]


async def test_fifty_viewers_are_all_told_of_a_drain(tmp_path: Path) -> None:
    """Every WebSocket gets ``draining`` and 1012, every stream ends properly, and stopping takes no timeout."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(live_server(tmp_path))
        run = await seed_run(server)
        sockets = [await stack.enter_async_context(server.socket(close_timeout=1)) for _ in range(25)]
        path = f"/api/v1/events/agent-runs/{run.id}"
        streams = [await stack.enter_async_context(raw_http(server.url, path, server.headers)) for _ in range(25)]
        for socket_ in sockets:
            await socket_.send({"op": "subscribe", "run_id": run.id})
            await socket_.events_until(1)
        ends = [asyncio.ensure_future(stream.events()) for stream in streams]
        draining = asyncio.ensure_future(server.home.backend.broadcaster.drain())
        for socket_ in sockets:
            frames = []
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    frames.append(await socket_.receive())
            assert frames[-1] == {"op": "draining", "retry_after_ms": 1000}
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert [[event.id for event in await end] for end in ends] == [[1]] * 25
        await draining
        ready = await server.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})


async def test_viewer_that_comes_while_draining_is_sent_away(server: LiveServer) -> None:
    """A connection that is made during the drain is told as well, so that it comes back to the next server."""
    run = await seed_run(server)
    await server.home.backend.broadcaster.drain()
    async with websockets.connect(server.ws_url, additional_headers=server.headers) as connection:
        frames = []
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                frames.append(json.loads(await connection.recv())["op"])
    assert "draining" in frames
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", server.headers) as stream:
        await stream.events()


async def test_acks_are_kept_through_a_drain(tmp_path: Path) -> None:
    """What was acked a moment before the server stops is where the client continues after the restart."""
    async with live_server(tmp_path) as first:
        run = await seed_run(first)
        await run.progress("a", "b")
        async with first.socket() as viewer:
            await viewer.ask({"op": "subscribe", "run_id": run.id, "client_id": "one"})
            await viewer.events_until(3)
            assert (await viewer.ask({"op": "ack", "run_id": run.id, "event_id": 3}))["op"] == "acked"
            await first.home.backend.broadcaster.drain()
    async with live_server(tmp_path, GatedModel()) as second, second.socket() as viewer:
        answer = await viewer.ask({"op": "subscribe", "run_id": run.id, "client_id": "one"})
        assert (answer["cursor"], answer["resumed"]) == (3, True)


async def test_stopping_with_a_viewer_that_answers_nothing_is_bounded(tmp_path: Path) -> None:
    """A peer that neither reads nor closes holds the end of the server up for seconds, not for ever."""
    async with contextlib.AsyncExitStack() as peers:
        async with live_server(tmp_path) as server:
            run = await seed_run(server)
            host, port = server.url.removeprefix("http://").split(":")
            silent = peers.enter_context(socket.socket())
            silent.connect((host, int(port)))
            silent.send(b"GET / HT")
            path = f"/api/v1/events/agent-runs/{run.id}"
            await peers.enter_async_context(raw_http(server.url, path, server.headers))
            dumb = await peers.enter_async_context(raw_socket(server.ws_url, server.headers, answers=False))
            assert (await dumb.read_json() or {})["op"] == "welcome"
            started = time.monotonic()
        assert time.monotonic() - started < 10


async def test_two_servers_on_one_home_are_refused(tmp_path: Path, server: LiveServer) -> None:
    """The second server of a home is told which home is open, and the first goes on."""
    with pytest.raises(HomeLockedError, match="home"):
        async with live_server(server.home.settings.home):
            pass
    assert (await server.http.get("/healthz")).status_code == 200


async def test_port_in_use_is_told_with_host_and_port(tmp_path: Path) -> None:
    """A server that cannot listen says where and why, and leaves no lock behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"127\.0\.0\.1 port {port}: .*in use"):
            await serve(Settings(port=port, home=tmp_path, log_level="error"))
    async with live_server(tmp_path) as after:
        assert (await after.http.get("/healthz")).status_code == 200
