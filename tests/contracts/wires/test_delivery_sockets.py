"""What a WebSocket may rely on while events come in bursts: whole frames, answers in their place, a proper end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from contracts.wires.viewers import Seen, Socket
from contracts.wires.ways import SOCKET_WAYS, Place, stored
from seeded import SeededRun, all_gone, seed_run
from websockets.frames import Frame, Opcode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("way", SOCKET_WAYS, ids=str),
]

BIG = "é" * 10_000
MANY = 100
"""So many big events are more than all buffers on the way hold."""
STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""
MASKED_TOO_LONG = Frame(Opcode.TEXT, b"x" * 200_000).serialize(mask=True)
UNMASKED = Frame(Opcode.TEXT, b'{"op":"ping"}').serialize(mask=False)


async def welcome(socket: Socket) -> None:
    """Read that the connection may be used."""
    message = await socket.message()
    assert isinstance(message, dict)
    assert message["op"] == "welcome"


async def subscribe(socket: Socket, *runs: SeededRun) -> None:
    """Watch runs from their first event, of which each has one."""
    for run in runs:
        await socket.send({"op": "subscribe", "run_id": run.id})
        said = await socket.messages_until("subscribed")
        assert isinstance(said[-1], dict)
        assert said[-1]["run_id"] == run.id
    for _ in range(len(runs) - sum(isinstance(message, Seen) for message in said)):
        assert isinstance(await socket.message(), Seen)


def events_in(messages: Sequence[dict[str, Any] | Seen], run: SeededRun) -> list[Seen]:
    """The events of one run among those messages."""
    return [message for message in messages if isinstance(message, Seen) and message.run_id == run.id]


async def rest(socket: Socket) -> list[dict[str, Any] | Seen]:
    """Every message up to the end of the connection."""
    messages = []
    while (message := await socket.message()) is not None:
        messages.append(message)
    return messages


async def test_many_runs_on_one_socket_arrive_each_in_order(place: Place) -> None:
    """Bursts of eight runs at the same time: of each ids 1…n, as stored, then one ``finished``."""
    runs = [await seed_run(place.server) for _ in range(8)]
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        for run in runs:
            await socket.send({"op": "subscribe", "run_id": run.id})
        for part in range(3):
            for run in runs:
                await run.progress(*[f"{part} {'x' * 100 * number}" for number in range(20)])
        for run in runs:
            await run.finish()
        messages: list[dict[str, Any] | Seen] = []
        for _ in runs:
            messages += await socket.messages_until("finished")
        finished = [message for message in messages if isinstance(message, dict) and message["op"] == "finished"]
        assert {message["run_id"] for message in finished} == {run.id for run in runs}
        for run in runs:
            assert events_in(messages, run) == await stored(place.server, run)
        await socket.close()
        assert await rest(socket) == []
        assert socket.closed_with == 1000


async def test_run_unsubscribed_in_a_burst_is_silent_after_that(place: Place, run: SeededRun) -> None:
    """Up to ``unsubscribed`` come ids without a gap, after it none of that run; the other run misses nothing."""
    other = await seed_run(place.server)
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await socket.send({"op": "subscribe", "run_id": run.id})
        await socket.send({"op": "subscribe", "run_id": other.id})
        for _ in range(MANY // 10):
            await run.progress(*[BIG] * 10)
            await other.progress(*["small"] * 10)
        await socket.send({"op": "unsubscribe", "run_id": run.id})
        before = await socket.messages_until("unsubscribed")
        await run.progress(*[BIG] * 10)
        await other.progress("after")
        await other.finish()
        after = await socket.messages_until("finished")
        log = await stored(place.server, run)
        seen = events_in(before, run)
        assert seen == log[: len(seen)]
        assert events_in(after, run) == []
        assert events_in([*before, *after], other) == await stored(place.server, other)


async def test_pings_and_answers_in_a_burst_tear_no_event(place: Place, run: SeededRun) -> None:
    """Pongs and answers stand between events, never in one; each answer comes, in the order of the questions."""
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await subscribe(socket, run)
        messages: list[dict[str, Any] | Seen] = []
        for number in range(10):
            await run.progress(*[BIG] * 10)
            await socket.ping(b"%d" % number)
            await socket.send({"op": "ping", "ref": number})
            await socket.send({"op": "ack", "run_id": run.id, "event_id": 1})
        while not isinstance(last := messages[-1] if messages else None, Seen) or last.id != 1 + MANY:
            message = await socket.message()
            assert message is not None
            messages.append(message)
        await socket.ping(b"last")
        await socket.send({"op": "ping", "ref": "last"})
        while socket.pongs[-1:] != [b"last"] or not any(is_pong(message, "last") for message in messages):
            message = await socket.message()
            assert message is not None
            messages.append(message)
        said = [message for message in messages if isinstance(message, dict)]
        assert events_in(messages, run) == (await stored(place.server, run))[1:]
        assert [message.get("ref") for message in said if message["op"] == "pong"] == [*range(10), "last"]
        assert sum(message["op"] == "acked" for message in said) == 10
        assert socket.pongs == sorted(socket.pongs)


def is_pong(message: dict[str, Any] | Seen, ref: str) -> bool:
    """True for the answer to that ``ping``."""
    return isinstance(message, dict) and (message["op"], message.get("ref")) == ("pong", ref)


async def test_close_in_a_burst_is_the_last_that_is_said(place: Place, run: SeededRun) -> None:
    """The close is answered in kind, between two events; then the connection ends, and no byte comes before that."""
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await subscribe(socket, run)
        for _ in range(MANY // 10):
            await run.progress(*[BIG] * 10)
        await socket.close()
        await run.progress(*[BIG] * 10)
        seen = events_in(await rest(socket), run)
        assert socket.closed_with == 1000
        assert seen == (await stored(place.server, run))[1 : 1 + len(seen)]
        assert len(seen) < MANY
    await all_gone(place.server)


async def test_close_of_one_that_lags_is_answered_when_it_reads(place: Place, run: SeededRun) -> None:
    """A viewer far behind that says goodbye gets what was on its way, then the close, and is no longer fed."""
    async with asyncio.timeout(STEP_S), place.socket(slow=True) as socket:
        await welcome(socket)
        await subscribe(socket, run)
        for _ in range(MANY // 10):
            await run.progress(*[BIG] * 10)
        while not place.server.home.backend.broadcaster.counts.lagging:
            await asyncio.sleep(0.002)
        await socket.close()
        seen = events_in(await rest(socket), run)
        assert socket.closed_with == 1000
        assert seen == (await stored(place.server, run))[1 : 1 + len(seen)]
        assert len(seen) < MANY // 2
    await all_gone(place.server)


@pytest.mark.parametrize(("sent", "code"), [(UNMASKED, 1002), (MASKED_TOO_LONG, 1009)], ids=["unmasked", "too long"])
async def test_frame_that_breaks_the_protocol_in_a_burst_is_answered_with_a_last_word(
    place: Place, run: SeededRun, sent: bytes, code: int
) -> None:
    """What Hypercorn closes by itself says why, between two events, and nothing comes after."""
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await subscribe(socket, run)
        await run.progress(*[BIG] * 20)
        await socket.send_bytes(sent)
        await run.progress(*[BIG] * 20)
        seen = events_in(await rest(socket), run)
        assert socket.closed_with == code
        assert seen == (await stored(place.server, run))[1 : 1 + len(seen)]
    await all_gone(place.server)


async def test_close_that_the_server_starts_in_a_burst_is_its_last_word(place: Place, run: SeededRun) -> None:
    """A fatal error stands between two events; after it comes the close, and nothing of what is published then."""
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await subscribe(socket, run)
        await run.progress(*[BIG] * 20)
        await socket.send({"op": "authenticate", "token": "none"})
        await run.progress(*[BIG] * 20)
        messages = await rest(socket)
        assert socket.closed_with == 4401
        assert isinstance(messages[-1], dict)
        assert (messages[-1]["op"], messages[-1]["code"]) == ("error", "NOT_AUTHENTICATED")
        seen = events_in(messages, run)
        assert seen == (await stored(place.server, run))[1 : 1 + len(seen)]
    await all_gone(place.server)


async def test_subscribing_again_in_a_burst_begins_anew(place: Place, run: SeededRun) -> None:
    """A second ``subscribe`` of a run replaces the first: from its answer on ids follow its cursor, without a gap."""
    async with asyncio.timeout(STEP_S), place.socket() as socket:
        await welcome(socket)
        await subscribe(socket, run)
        await run.progress(*[BIG] * MANY)
        await socket.send({"op": "subscribe", "run_id": run.id, "last_event_id": 3})
        before = events_in(await socket.messages_until("subscribed"), run)
        await run.finish()
        after = events_in(await socket.messages_until("finished"), run)
        log = await stored(place.server, run)
        assert before == log[1 : 1 + len(before)]
        assert after == log[3:]
