"""Python's ``websockets`` reads the WebSocket, with its default offer of compression, directly and through nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
import websockets
from live import LiveServer, LiveSocket
from peers.following import VIEW_S, follow
from seeded import SeededRun, all_gone

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("way", ["direct", "nginx-http11"], indirect=True),
]

BURST = 2000


@contextlib.asynccontextmanager
async def subscribed(server: LiveServer, way: str, run: SeededRun) -> AsyncIterator[LiveSocket]:
    """A viewer of the run from its first event on."""
    url = way.replace("http", "ws", 1) + "/api/v1/ws"
    connecting = websockets.connect(
        url, subprotocols=[websockets.Subprotocol("runcast.v1")], additional_headers=server.headers
    )
    async with asyncio.timeout(VIEW_S), connecting as connection:
        assert connection.request is not None
        assert "permessage-deflate" in connection.request.headers["Sec-WebSocket-Extensions"]
        socket = LiveSocket(connection)
        assert (await socket.receive())["op"] == "welcome"
        assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
        yield socket


def text_of(size: int) -> str:
    """A text of so many bytes, of characters that have two."""
    return "é" * (size // 2) + "x" * (size % 2)


async def test_websockets_on_a_live_run_gets_each_event_as_it_happens(
    server: LiveServer, run: SeededRun, way: str
) -> None:
    """No event waits for the next one, and after the terminal event comes ``finished``."""
    async with subscribed(server, way, run) as viewer:
        arrived = await follow(run, viewer.receive)
        assert await viewer.receive() == {"op": "finished", "run_id": run.id}
    assert arrived == await server.log(run.id)
    assert viewer.connection.close_code == 1000


async def test_websockets_pings_between_live_events_are_answered(
    server: LiveServer, run: SeededRun, way: str
) -> None:
    """Each ping has its pong while events go on."""
    async with subscribed(server, way, run) as viewer:
        for number in range(2, 12):
            pong = await viewer.connection.ping(f"ping {number}")
            await run.progress(str(number))
            await asyncio.wait_for(pong, 10)
        events = await viewer.events_until(11)
    assert events == await server.log(run.id)


async def test_websockets_gets_a_burst_whole_and_in_order(server: LiveServer, run: SeededRun, way: str) -> None:
    """2000 events published at once, more than a tail has: ids 1…n, each once, as they are stored."""
    async with subscribed(server, way, run) as viewer:
        await run.progress(*[f"event {number} of the burst" for number in range(BURST)])
        await run.finish()
        events = await viewer.events_until()
    assert [event["id"] for event in events] == list(range(1, BURST + 3))
    assert events == await server.log(run.id)


async def test_websockets_closing_in_a_burst_is_answered_in_kind(
    server: LiveServer, run: SeededRun, way: str
) -> None:
    """Whoever leaves in the middle gets the server's close frame with 1000, and the server lets go of them."""
    async with subscribed(server, way, run) as viewer:
        await run.progress(*["x" * 5000 for _ in range(BURST)])
        await viewer.events_until(100)
        closing = asyncio.ensure_future(viewer.connection.close())
        late = [message async for message in viewer.connection]  # unread, they keep the library from the close frame
        await closing
    assert len(late) < BURST - 100
    assert viewer.connection.close_code == 1000
    await all_gone(server)


async def test_event_of_any_length_arrives_whole(server: LiveServer, run: SeededRun, way: str) -> None:
    """From a text of one byte to 70 KB, on both sides of where a frame's length takes eight bytes: 65 536 bytes."""
    async with subscribed(server, way, run) as viewer:
        await viewer.receive()
        await run.progress("x")
        shortest = len(await viewer.connection.recv(decode=False))
        for length in (shortest + 1, 65_534, 65_535, 65_536, 65_537, 70_000):
            label = text_of(length - shortest + 1)
            await run.progress(label)
            message = await viewer.connection.recv(decode=False)
            assert len(message) == length
            assert json.loads(message)["payload"]["progress_label"] == label


async def test_answer_of_any_length_arrives_whole(server: LiveServer, run: SeededRun, way: str) -> None:
    """A pong repeats the ping's ``ref``: so answers can be short enough for both sides of 126 bytes, and 65 536."""
    async with subscribed(server, way, run) as viewer:
        await viewer.receive()
        for length in (24, 124, 125, 126, 127, 65_535, 65_536):
            ref = "r" * (length - len('{"op":"ping","ref":""}'))
            await viewer.connection.send(f'{{"op":"ping","ref":"{ref}"}}')
            message = await viewer.connection.recv(decode=False)
            assert (len(message), json.loads(message)) == (length, {"op": "pong", "ref": ref})
