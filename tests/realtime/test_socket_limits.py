"""What is too much for a WebSocket connection, and what is said of failures inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
from uuid import uuid4

import pytest
import websockets
from live import LiveServer
from seeded import seed_run
from socket_stage import rest_of, subscribe


async def test_sixty_fifth_subscription_is_too_many(server: LiveServer) -> None:
    """64 live runs fit on one connection; one more is TOO_MANY and closes with 4429."""
    runs = await asyncio.gather(*[seed_run(server) for _ in range(65)])
    async with server.socket() as socket:
        for run in runs[:64]:
            assert (await socket.ask(subscribe(run.id)))["op"] == "subscribed"
        assert (await socket.ask(subscribe(runs[0].id)))["op"] == "subscribed"
        await socket.send(subscribe(runs[64].id, ref="last"))
        frames, code = await rest_of(socket)
    errors = [frame for frame in frames if frame.get("op") == "error"]
    assert [(error["code"], error["fatal"], error["ref"]) for error in errors] == [("TOO_MANY", True, "last")]
    assert code == 4429


async def test_ended_runs_make_room_for_others(server: LiveServer) -> None:
    """A connection that lives long may watch any number of runs one after the other."""
    runs = await asyncio.gather(*[seed_run(server) for _ in range(66)])
    await asyncio.gather(*[run.finish() for run in runs])
    async with server.socket() as socket:
        for run in runs:
            await socket.send(subscribe(run.id))
            await socket.events_until()


async def test_more_frames_than_allowed_are_too_many(server: LiveServer) -> None:
    """A burst above the bucket of two seconds' frames is TOO_MANY and closes with 4429."""
    async with server.socket() as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(200):
                await socket.send({"op": "ping"})
        frames, code = await rest_of(socket)
    assert frames[-1]["code"] == "TOO_MANY"
    assert 100 <= sum(frame["op"] == "pong" for frame in frames) < 200
    assert code == 4429


async def test_handler_that_fails_closes_with_1011(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure inside is INTERNAL without particulars, and the connection closes with 1011, never 1000."""

    async def fail(key: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(server.home.backend.runs, "get_run", fail)
    async with server.socket() as socket:
        await socket.send(subscribe(str(uuid4())))
        frames, code = await rest_of(socket)
    assert [(error["code"], error["fatal"]) for error in frames] == [("INTERNAL", True)]
    assert "secret" not in json.dumps(frames)
    assert code == 1011


async def test_failure_of_the_store_ends_the_connection_with_its_cause(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server cannot do is told with the frame it answers, and 1011 says to come back."""
    run_id = await server.start_run(["ba_consultant"])

    async def refuse(*_: object) -> None:
        raise OSError("the disk is gone")

    async with server.socket() as socket:
        monkeypatch.setattr(server.home.store.runs, "get_run", refuse)
        answer = await socket.ask({"op": "subscribe", "run_id": run_id, "ref": "s"})
        assert (answer["op"], answer["code"], answer["fatal"]) == ("error", "INTERNAL", True)
        assert (answer["ref"], answer["run_id"]) == ("s", run_id)
        await socket.connection.wait_closed()
        assert socket.connection.close_code == 1011
