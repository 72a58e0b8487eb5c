"""What the server's reader hands to the application: in order, bounded, and nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import types
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from live import LiveServer, live_server

from realtime.channel import Channel
from realtime.endpoints import body

STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""
TINY_CHUNKS = b"1\r\nx\r\n" * 1000
UPLOADS = 3


async def settle() -> None:
    """Let every task go as far as it can without anything else happening."""
    for _ in range(10):
        await asyncio.sleep(0)


async def full_channel() -> Channel[int]:
    """A channel with room for one item, which is 1."""
    channel = Channel[int](1)
    await channel.put(1)
    return channel


async def test_items_come_in_the_order_they_were_put() -> None:
    """While there is room a sender is not held up, and the receiver gets the oldest item first."""
    channel = Channel[int](3)
    for item in range(3):
        await channel.put(item)
    assert [await channel.get() for _ in range(3)] == [0, 1, 2]


async def test_sender_is_held_up_while_the_channel_is_full() -> None:
    """No more than ``size`` items wait, and each one taken lets one more in."""
    channel = Channel[int](2)
    put: list[int] = []

    async def send() -> None:
        for item in range(4):
            await channel.put(item)
            put.append(item)

    async with asyncio.timeout(STEP_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        for taken in range(4):
            await settle()
            assert put == list(range(min(taken + 2, 4)))
            assert await channel.get() == taken


async def test_receiver_waits_for_the_next_item() -> None:
    """It gets an item that is put after it asked."""
    channel = Channel[int](1)
    async with asyncio.timeout(STEP_S), asyncio.TaskGroup() as tasks:
        got = tasks.create_task(channel.get())
        await settle()
        assert not got.done()
        await channel.put(1)
    assert got.result() == 1


async def test_two_senders_that_are_held_up_both_go_on() -> None:
    """Neither sleeps for ever: what both wait to put arrives, the first first."""
    channel = await full_channel()
    async with asyncio.timeout(STEP_S), asyncio.TaskGroup() as tasks:
        for item in (2, 3):
            tasks.create_task(channel.put(item))
            await settle()
        assert [await channel.get() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("left", [0, 1])
async def test_cancelled_sender_adds_nothing_and_disturbs_no_other(left: int) -> None:
    """Of two that are held up one is cancelled, whichever: the other's item arrives, and no third."""
    channel = await full_channel()
    senders = [asyncio.ensure_future(channel.put(item)) for item in (2, 3)]
    await settle()
    senders[left].cancel()
    await settle()
    assert [sender.done() for sender in senders] == [left == 0, left == 1]
    async with asyncio.timeout(STEP_S):
        assert [await channel.get(), await channel.get()] == [1, (2, 3)[1 - left]]
        await asyncio.gather(*senders, return_exceptions=True)
    assert [sender.cancelled() for sender in senders] == [left == 0, left == 1]
    await channel.put(4)
    assert await channel.get() == 4


async def test_cancelled_receiver_takes_nothing() -> None:
    """An item that is put after the receiver gave up is there for its next call."""
    channel = Channel[int](1)
    receiver = asyncio.ensure_future(channel.get())
    await settle()
    receiver.cancel()
    await settle()
    assert receiver.cancelled()
    await channel.put(1)
    async with asyncio.timeout(STEP_S):
        assert await channel.get() == 1


async def test_receiver_cancelled_as_an_item_comes_leaves_it() -> None:
    """Cancelled in the very turn in which an item was put, the receiver has not taken it."""
    channel = Channel[int](1)
    receiver = asyncio.ensure_future(channel.get())
    await settle()
    await channel.put(1)
    receiver.cancel()
    await settle()
    assert receiver.cancelled()
    async with asyncio.timeout(STEP_S):
        assert await channel.get() == 1


async def test_delivery_in_the_middle_takes_what_waits_then_what_comes() -> None:
    """What waits is delivered at once, next what senders are held up with, then each item in its sender's turn."""
    channel = await full_channel()
    senders = [asyncio.ensure_future(channel.put(item)) for item in (2, 3)]
    await settle()
    delivered: list[int] = []
    channel.deliver_to(delivered.append)
    assert delivered == [1]
    async with asyncio.timeout(STEP_S):
        await asyncio.gather(*senders)
    assert delivered == [1, 2, 3]
    for item in range(4, 10):
        await channel.put(item)
        assert delivered[-1] == item


async def test_many_senders_lose_and_repeat_nothing() -> None:
    """Ten senders of twenty items each, two places: every item arrives once, each sender's in its order."""
    channel = Channel[tuple[int, int]](2)

    async def send(sender: int) -> None:
        for number in range(20):
            await channel.put((sender, number))

    async with asyncio.timeout(STEP_S), asyncio.TaskGroup() as tasks:
        for sender in range(10):
            tasks.create_task(send(sender))
        arrived = [await channel.get() for _ in range(200)]
    for sender in range(10):
        assert [number for came_from, number in arrived if came_from == sender] == list(range(20))


async def upload_without_end(server: LiveServer) -> None:
    """Send a body in chunks of one byte, without a token, until the server has cut the connection."""
    host = urlsplit(server.url)
    _, writer = await asyncio.open_connection(host.hostname, host.port)
    head = f"POST {server.project}/agent-runs HTTP/1.1\r\nHost: {host.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(TINY_CHUNKS)
            await writer.drain()
    writer.transport.abort()


def held_up() -> int:
    """How many senders wait for room in a channel, whoever still waits for them."""
    coroutines = [thing for thing in gc.get_objects() if type(thing) is types.CoroutineType]
    return sum(coroutine.cr_code is Channel.put.__code__ for coroutine in coroutines)


async def test_uploads_without_end_and_token_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused clients that go on sending tiny chunks are cut, and no task of theirs and no sender is left."""
    monkeypatch.setattr(body, "LINGER_S", 0.05)
    async with live_server(tmp_path) as server:
        await server.http.get("/healthz")
        tasks = len(asyncio.all_tasks())
        async with asyncio.timeout(STEP_S):
            await asyncio.gather(*(upload_without_end(server) for _ in range(UPLOADS)))
            while len(asyncio.all_tasks()) > tasks or held_up():
                await asyncio.sleep(0.005)
