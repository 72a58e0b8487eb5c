"""What a WebSocket client sent and nobody has handled yet: in order, and bounded in messages and bytes."""

from __future__ import annotations

import asyncio

import pytest

from realtime.endpoints import inbound
from realtime.endpoints.inbound import Inbox

STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""


async def test_inbox_gives_messages_in_order_to_a_reader_that_may_be_cancelled() -> None:
    """Texts and bytes come as they were put; a reader that is cancelled has taken none."""
    inbox, got = Inbox(), []
    async with asyncio.timeout(STEP_S):
        for number in range(60):
            reading = asyncio.ensure_future(inbox.get())
            await asyncio.sleep(0)
            if number % 3 == 0:
                inbox.put(str(number))
                inbox.put(b"%d" % (number + 1))
            if number % 2:
                reading.cancel()
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})
            got += [] if reading.cancelled() else [reading.result()]
        while len(got) < 40:
            got.append(await inbox.get())
    expected = [(str(number), b"%d" % (number + 1)) for number in range(0, 60, 3)]
    assert got == [message for pair in expected for message in pair]


@pytest.mark.parametrize(
    ("message", "most"),
    [("x", inbound.MAX_WAITING), ("", inbound.MAX_WAITING), (b"y" * 10_000, 105), ("z" * 2_000_000, 1)],
    ids=["texts", "empty texts", "large bytes", "one huge text"],
)
async def test_inbox_is_full_at_a_number_of_messages_or_bytes(message: str | bytes, most: int) -> None:
    """It says so at either bound, and no longer as soon as one was taken; emptied, it can be used again."""
    inbox = Inbox()
    for _ in range(most):
        assert not inbox.full
        inbox.put(message)
    assert inbox.full
    assert await inbox.get() == message
    assert not inbox.full
    for _ in range(most - 1):
        await inbox.get()
    assert not inbox.full
    waiting = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    inbox.put("again")
    assert await asyncio.wait_for(waiting, STEP_S) == "again"
