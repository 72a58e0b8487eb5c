"""A viewer that was cut off continues where it was: after every event, on either transport, whatever its cursor."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from live import ALL_AGENTS, GatedModel, LiveServer
from raw_peer import RawHttp, raw_http
from seeded import all_gone, seed_run

EVENTS = 10
"""A run of three agents without progress in between: 3 queued, then running and complete for each, then the end."""


@contextlib.asynccontextmanager
async def sse(
    server: LiveServer, run_id: str, cursor: int | str | None = None, query: str = ""
) -> AsyncIterator[RawHttp]:
    """The run's SSE stream over a connection of its own; ``cursor`` goes as Last-Event-ID."""
    headers = server.headers if cursor is None else {**server.headers, "Last-Event-ID": str(cursor)}
    async with raw_http(server.url, f"/api/v1/events/agent-runs/{run_id}{query}", headers) as stream:
        yield stream


async def sse_ids(
    server: LiveServer, run_id: str, cursor: int | str | None = None, upto: int | None = None
) -> list[int]:
    """Ids over SSE from ``cursor``: up to ``upto`` and then cut, else to the proper end."""
    ids = []
    async with sse(server, run_id, cursor) as stream:
        if stream.status == 204:
            return []
        while (event := await stream.event()) is not None:
            assert event.id is not None
            ids.append(event.id)
            if event.id == upto:
                stream.cut()
                break
    return ids


async def ws_ids(server: LiveServer, run_id: str, cursor: int | None = None, upto: int | None = None) -> list[int]:
    """Ids over WebSocket from ``cursor``: up to ``upto`` and then cut, else to ``finished``."""
    async with server.socket() as socket:
        await socket.send({"op": "subscribe", "run_id": run_id, "last_event_id": cursor})
        answer = await socket.receive()
        assert (answer["op"], answer["cursor"]) == ("subscribed", cursor or 0)
        ids = [event["id"] for event in await socket.events_until(upto)]
        if upto is not None:
            socket.connection.transport.abort()
    return ids


async def acked_ids(server: LiveServer, run_id: str, upto: int | None = None) -> list[int]:
    """Ids over WebSocket with nothing but a client_id; every event is acked, and after ``upto`` comes the cut."""
    ids: list[int] = []
    async with server.socket() as socket:
        await socket.send({"op": "subscribe", "run_id": run_id, "client_id": "viewer"})
        while (frame := await socket.receive()).get("op") != "finished":
            if "op" in frame:
                continue
            ids.append(frame["id"])
            await socket.send({"op": "ack", "run_id": run_id, "event_id": frame["id"]})
            if frame["id"] == upto:
                while (await socket.receive()).get("event_id") != upto:
                    pass
                socket.connection.transport.abort()
                break
    await all_gone(server)
    return ids


async def cut_and_resume(server: LiveServer, run_id: str, how: str, upto: int) -> AsyncIterator[list[int]]:
    """Two connections: what the first got up to the cut, then what the second got."""
    cursor = None
    if how == "acks":
        yield await acked_ids(server, run_id, upto)
        yield await acked_ids(server, run_id)
        return
    first, second = how.split(" then ")
    read = {"WebSocket": ws_ids, "SSE": sse_ids}
    yield await read[first](server, run_id, cursor, upto)
    yield await read[second](server, run_id, upto)


WAYS = ["WebSocket then WebSocket", "SSE then SSE", "WebSocket then SSE", "SSE then WebSocket", "acks"]


@pytest.mark.parametrize("how", WAYS)
async def test_finished_run_cut_after_every_event_resumes_whole(
    server: LiveServer, model: GatedModel, how: str
) -> None:
    """Invariant 7: on a finished run, a cut after any event and a resumption give ids 1…n, no gap, no repeat."""
    for upto in range(1, EVENTS + 1):
        run_id = await server.start_run()
        model.finish(*ALL_AGENTS)
        assert await sse_ids(server, run_id) == list(range(1, EVENTS + 1))
        parts = [part async for part in cut_and_resume(server, run_id, how, upto)]
        assert parts == [list(range(1, upto + 1)), list(range(upto + 1, EVENTS + 1))]


@pytest.mark.parametrize("how", WAYS)
async def test_live_run_cut_after_every_event_resumes_whole(server: LiveServer, model: GatedModel, how: str) -> None:
    """On a run that is held at each event, a cut there and a resumption give ids 1…n, no gap, no repeat."""
    for upto in range(1, EVENTS):
        run_id = await server.start_run()
        done = [agent for agent, complete in zip(ALL_AGENTS, (5, 7, 9), strict=True) if complete <= upto]
        model.finish(*done)
        parts = cut_and_resume(server, run_id, how, upto)
        first = await anext(parts)
        assert (await server.snapshot(run_id))["status"] in {"queued", "running", "completed"}
        model.finish(*[agent for agent in ALL_AGENTS if agent not in done])
        assert [first, await anext(parts)] == [list(range(1, upto + 1)), list(range(upto + 1, EVENTS + 1))]
        await parts.aclose()


async def test_viewer_cut_after_every_single_event_misses_none(server: LiveServer, model: GatedModel) -> None:
    """One viewer that is cut after each event it gets, while the run goes on in between, sees ids 1…n."""
    run_id = await server.start_run()
    seen: list[int] = []
    for turn in range(EVENTS):
        if turn in {4, 6, 8}:
            model.finish(ALL_AGENTS[(turn - 4) // 2])
        read = ws_ids if turn % 2 else sse_ids
        seen += await read(server, run_id, len(seen), len(seen) + 1)
    assert seen == list(range(1, EVENTS + 1))
    assert (await server.snapshot(run_id))["status"] == "completed"


async def finished(server: LiveServer, model: GatedModel) -> str:
    """A run that went to its end."""
    run_id = await server.start_run()
    model.finish(*ALL_AGENTS)
    assert await sse_ids(server, run_id) == list(range(1, EVENTS + 1))
    return run_id


async def test_cursor_at_the_end_gets_204_or_finished(server: LiveServer, model: GatedModel) -> None:
    """Invariant 7: nothing is left: SSE answers 204 for good, WebSocket ``finished``, and stays open."""
    run_id = await finished(server, model)
    for _ in range(2):
        async with sse(server, run_id, EVENTS) as stream:
            assert stream.status == 204
    async with sse(server, run_id, query=f"?last_event_id={EVENTS}") as stream:
        assert stream.status == 204
    async with server.socket() as socket:
        answer = await socket.ask({"op": "subscribe", "run_id": run_id, "last_event_id": EVENTS})
        assert (answer["op"], answer["resumed"], answer["cursor"], answer["head"]) == ("subscribed", True, 10, 10)
        assert await socket.receive() == {"op": "finished", "run_id": run_id}
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"


async def test_cursor_in_the_query_counts_and_the_header_wins(server: LiveServer, model: GatedModel) -> None:
    """``?last_event_id=`` resumes where no header can be set; a Last-Event-ID header, not an empty one, wins."""
    run_id = await finished(server, model)
    for cursor, query, first in (
        (None, "?last_event_id=4", 5),
        (7, "?last_event_id=4", 8),
        ("", "?last_event_id=4", 5),
    ):
        async with sse(server, run_id, cursor, query) as stream:
            event = await stream.event()
            assert event is not None
            assert event.id == first


BAD_CURSORS = ["999", "x", "-1", "1.5", "0x1", "١", "9" * 40, "1 OR 1=1", " "]


def reset_reason(cursor: str) -> str:
    """Why that cursor is reset."""
    return "cursor_ahead_of_log" if cursor == "999" else "malformed_cursor"


@pytest.mark.parametrize("live", [False, True])
async def test_cursor_that_cannot_be_served_over_sse_is_reset(
    server: LiveServer, model: GatedModel, live: bool
) -> None:
    """Invariant 6: the state as it is, the first event says why, only the last has an id; then the stream goes on."""
    run_id = await server.start_run()
    if live:
        model.finish("ba_consultant")
        await model.asked["qa_consultant"].wait()
        head = 6
    else:
        model.finish(*ALL_AGENTS)
        await sse_ids(server, run_id)
        head = EVENTS
    for cursor in BAD_CURSORS:
        header = cursor if cursor.isascii() and cursor.strip() else None
        query = "" if header else f"?last_event_id={'%D9%A1' if cursor == '١' else '%20'}"
        async with sse(server, run_id, header, query) as stream:
            events = []
            while (event := await stream.event()) is not None:
                events.append(event)
                if event.id is not None:
                    break
            assert event is not None
            assert events[0].data["payload"]["reset"] == {"reason": reset_reason(cursor), "cursor": head}, cursor
            assert [event.id for event in events[:-1]] == [None] * (len(events) - 1)
            assert events[-1].id == head
            assert all("reset" not in event.data["payload"] for event in events[1:])
            assert [event.data["type"] for event in events[:3]] == ["queued"] * 3
            if not live:
                assert await stream.event() is None
    if live:
        async with sse(server, run_id, "x") as stream:
            while (event := await stream.event()) is not None and event.id != head:
                pass
            model.finish("qa_consultant", "automation_consultant")
            assert [event.id for event in await stream.events()] == list(range(head + 1, EVENTS + 1))


async def test_reset_cut_in_its_middle_is_repeated_whole(server: LiveServer, model: GatedModel) -> None:
    """Invariant 6: half a reset moves no cursor, so the same reset comes again, and ends in the right state."""
    run_id = await finished(server, model)
    cursor: int | str = "999"
    for upto in range(6):
        async with sse(server, run_id, cursor) as stream:
            for _ in range(upto):
                event = await stream.event()
                assert event is not None
                assert event.id is None
            stream.cut()
    async with sse(server, run_id, cursor) as stream:
        events = await stream.events()
    assert events[0].data["payload"]["reset"]["cursor"] == EVENTS
    assert events[-1].data["payload"]["all_done"] is True
    async with sse(server, run_id, events[-1].id) as stream:
        assert stream.status == 204


@pytest.mark.parametrize("cursor", [999, "999", "x", -1, 1.5, True, [], {}, "", 10**30])
async def test_cursor_that_cannot_be_served_over_socket_is_reset(
    server: LiveServer, model: GatedModel, cursor: Any
) -> None:
    """Invariant 6: ``reset`` instead of ``subscribed``, with reason, snapshot and a cursor that can be served."""
    run_id = await server.start_run()
    await model.asked["ba_consultant"].wait()
    async with server.socket() as socket:
        answer = await socket.ask({"op": "subscribe", "run_id": run_id, "last_event_id": cursor, "ref": "r"})
        assert (answer["op"], answer["ref"], answer["cursor"]) == ("reset", "r", 4)
        assert answer["reason"] == reset_reason(str(cursor))
        assert answer["snapshot"]["last_event_id"] == 4
        assert answer["snapshot"]["steps"][0]["status"] == "running"
        socket.connection.transport.abort()
    model.finish(*ALL_AGENTS)
    assert await ws_ids(server, run_id, answer["cursor"]) == list(range(5, EVENTS + 1))


async def test_decimal_text_is_a_cursor_over_socket(server: LiveServer, model: GatedModel) -> None:
    """``"7"`` means 7: SSE clients hand their cursor over as the text they got."""
    run_id = await finished(server, model)
    async with server.socket() as socket:
        answer = await socket.ask({"op": "subscribe", "run_id": run_id, "last_event_id": "7"})
        assert (answer["op"], answer["cursor"], answer["resumed"]) == ("subscribed", 7, True)


async def test_log_that_retention_took_is_answered_with_a_reset(server: LiveServer, model: GatedModel) -> None:
    """Invariant 6: cursors before a log that is gone get the state of the run and its end, on both transports."""
    run_id = await finished(server, model)
    assert await server.home.store.drop_logs(server.home.user.tenant, 0) == (run_id,)
    for cursor in (None, 0, 4):
        async with sse(server, run_id, cursor) as stream:
            events = await stream.events()
        assert events[0].data["payload"]["reset"] == {"reason": "log_expired", "cursor": EVENTS}
        assert (events[-1].id, events[-1].data["payload"]["all_done"]) == (EVENTS, True)
        async with server.socket() as socket:
            await socket.send({"op": "subscribe", "run_id": run_id, "last_event_id": cursor})
            reset = await socket.receive()
            assert (reset["op"], reset["reason"], reset["cursor"]) == ("reset", "log_expired", EVENTS)
            assert reset["snapshot"]["status"] == "completed"
            assert [event["id"] for event in await socket.events_until()] == [EVENTS]
    async with sse(server, run_id, EVENTS) as stream:
        assert stream.status == 204
    await all_gone(server)


async def test_late_viewers_get_the_bytes_of_early_ones(server: LiveServer, model: GatedModel) -> None:
    """Invariant 4: a viewer from the start, one that joins late and one of the finished run get equal bytes."""
    run_id = await server.start_run()
    async with sse(server, run_id) as early, server.socket() as socket:
        await socket.send({"op": "subscribe", "run_id": run_id})
        assert (await socket.receive())["op"] == "subscribed"
        model.progress("ba_consultant", 40, "Reading “ü” \u2028 and 𝄞")
        model.finish("ba_consultant")
        await model.asked["qa_consultant"].wait()
        async with sse(server, run_id) as late:
            model.finish("qa_consultant", "automation_consultant")
            of_late = [event.raw for event in await late.events()]
        of_early = [event.raw for event in await early.events()]
        of_socket = []
        while "finished" not in (text := str(await socket.connection.recv())):
            of_socket.append(text)
    async with sse(server, run_id) as replay:
        of_replay = [event.raw for event in await replay.events()]
    assert of_early == of_late == of_replay
    stored = await server.home.store.runs.read_events(server.home.user.tenant, run_id, 0)
    assert [event.payload for event in stored] == [payload_of(text) for text in of_socket]
    assert [payload_of(raw.decode().strip()) for raw in of_replay] == [event.payload for event in stored]


def payload_of(text: str) -> str:
    """The payload's JSON text as it stands in a frame or data line."""
    return text.partition('"payload":')[2][:-1]


async def test_ten_viewers_of_one_run_see_the_same(server: LiveServer, model: GatedModel) -> None:
    """Five WebSocket and five SSE viewers, some from the start and some later, all get the log as it is stored."""
    run_id = await server.start_run()
    async with contextlib.AsyncExitStack() as stack:
        sockets, streams = [], []
        for agent in (None, *ALL_AGENTS[:2]):
            if agent is not None:
                model.progress(agent, 50, "Half way")
                model.finish(agent)
            for _ in range(2 if agent else 1):
                socket = await stack.enter_async_context(server.socket())
                await socket.send({"op": "subscribe", "run_id": run_id})
                sockets.append(socket)
                streams.append(await stack.enter_async_context(sse(server, run_id)))
        model.finish("automation_consultant")
        log = await sockets[0].events_until()
        log = [frame for frame in log if "op" not in frame]
        assert log == await server.log(run_id)
        for socket in sockets[1:]:
            assert await socket.events_until() == log
        for stream in streams:
            assert [{"id": event.id, **event.data} for event in await stream.events()] == log
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert json.loads(json.dumps(log[-1]))["payload"]["all_done"] is True


async def test_viewer_far_behind_is_fed_from_the_log(server: LiveServer) -> None:
    """A resumption that is older than what is kept in memory is served from the log, page by page, then live."""
    run = await seed_run(server)
    for start in range(0, 700, 100):
        await run.progress(*[f"label {number}" for number in range(start, start + 100)])
    async with sse(server, run.id) as stream, server.socket() as socket:
        await socket.send({"op": "subscribe", "run_id": run.id, "last_event_id": 3})
        await run.finish()
        assert [event.id for event in await stream.events()] == list(range(1, 703))
        assert [event["id"] for event in await socket.events_until()] == list(range(4, 703))
