"""Outlets that are slow, take a part, or fail: bounded, and nothing to the others."""

from __future__ import annotations

import asyncio
import json

import pytest
from delivery_stage import KEY, BrokenOutlet, ListLog, ListOutlet, watch

from realtime.asgi_outlet import AsgiOutlet
from realtime.broadcaster import Broadcaster
from realtime.events import RunKey
from realtime.outlet import LIMIT_BYTES, MARK_BYTES
from realtime.page import PAGE_BYTES, PAGE_EVENTS, Page
from realtime.subscription import Ending


async def test_shut_viewer_costs_others_nothing_and_continues_at_its_cursor(
    delivery: Broadcaster, log: ListLog
) -> None:
    """Invariant 5: while one viewer takes nothing the other gets everything, and the first is not handed a byte."""
    shut, free = ListOutlet(), ListOutlet()
    slow = watch(delivery, shut)
    watch(delivery, free)
    delivery.publish(KEY, log.add(1))
    await shut.has(1)
    shut.ready = False
    for _ in range(1000):
        delivery.publish(KEY, log.add(1))
    delivery.publish(KEY, log.add(1, last=True))
    assert await free.ended() is Ending.FINISHED
    assert free.got == list(range(1, 1003))
    assert shut.got == [1]
    assert slow.cursor == 1
    shut.open()
    assert await shut.ended() is Ending.FINISHED
    assert shut.got == free.got


async def test_page_is_bounded_in_events_and_bytes(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 5: what one viewer is handed at a time has a bounded size, from memory and from the log."""
    for size in (0, 20_000):
        for key in (RunKey("demo", f"published-{size}"), RunKey("demo", f"read-{size}")):
            made = log.add(300, key=key, size=size)
            if key.run_id.startswith("published"):
                delivery.publish(key, made)
            outlet = ListOutlet()
            watch(delivery, outlet, key=key)
            await outlet.has(300)
            assert outlet.got == list(range(1, 301))
            assert max(len(batch) for batch in outlet.batches) == (4 if size else PAGE_EVENTS)


def texts(page: Page) -> list[str]:
    """A page as WebSocket messages."""
    return [event.text for event in page.events]


@pytest.mark.parametrize("size", [0, 3_000, 50_000, 2 * LIMIT_BYTES])
async def test_asgi_outlet_owes_a_bounded_number_of_bytes(delivery: Broadcaster, log: ListLog, size: int) -> None:
    """Invariant 5: nothing is lost and at most the mark and one page wait, however large events are."""
    outlet: AsgiOutlet[str] = AsgiOutlet(texts)
    subscription = delivery.subscribe(KEY, 0, outlet, lambda ending: outlet.finish())
    count = 20 if size > LIMIT_BYTES else 300
    for _ in range(0, count, 20):
        delivery.publish(KEY, log.add(20, size=size))
        await asyncio.sleep(0)
        assert outlet.waiting_bytes <= MARK_BYTES + PAGE_BYTES + size + 200
    delivery.publish(KEY, log.add(1, last=True))
    got = []
    async for text in outlet:
        assert outlet.waiting_bytes <= MARK_BYTES + PAGE_BYTES + size + 200
        got.append(json.loads(text)["id"])
    assert got == list(range(1, count + 2))
    assert not outlet.overflowed
    assert subscription.closed


async def test_asgi_outlet_that_dropped_a_message_stays_overflowed() -> None:
    """Control frames that nobody takes are dropped beyond a limit, and the outlet says so for good."""
    outlet: AsgiOutlet[str] = AsgiOutlet(texts)
    frame = "x" * 1000
    while not outlet.overflowed:
        outlet.send(frame)
    assert LIMIT_BYTES <= outlet.waiting_bytes < LIMIT_BYTES + len(frame)
    outlet.finish()
    assert sum([len(message) async for message in outlet]) == LIMIT_BYTES + len(frame) - LIMIT_BYTES % len(frame)
    assert outlet.overflowed


async def test_asgi_outlet_cancelled_while_waiting_loses_nothing() -> None:
    """Taking the next message can be cancelled at any time; the message is the next one still."""
    outlet: AsgiOutlet[str] = AsgiOutlet(texts)
    taken: list[str] = []
    for number in range(40):
        waiting = asyncio.ensure_future(anext(outlet))
        await asyncio.sleep(0)
        if number % 2:
            outlet.send(str(number))
            outlet.send(str(number + 1))
        waiting.cancel()
        taken += [got for got in await asyncio.gather(waiting, return_exceptions=True) if isinstance(got, str)]
    outlet.finish()
    taken += [message async for message in outlet]
    assert taken == [str(number) for number in range(1, 41)]


@pytest.mark.parametrize("backlog", [False, True])
async def test_outlet_that_fails_costs_others_nothing(delivery: Broadcaster, log: ListLog, backlog: bool) -> None:
    """Invariant 5: an outlet that raises is taken off, fed live or from the log; others get everything."""
    log.add(5)
    if not backlog:
        delivery.publish(KEY, log.logs[KEY])
    before, after, broken = ListOutlet(), ListOutlet(), BrokenOutlet()
    watch(delivery, before)
    failing = watch(delivery, broken)
    watch(delivery, after)
    delivery.publish(KEY, log.add(1, last=True))
    for outlet in (before, after):
        assert await outlet.ended() is Ending.FINISHED
        assert outlet.got == list(range(1, 7))
    async with asyncio.timeout(30):
        while not failing.closed:
            await asyncio.sleep(0)
    assert delivery.viewers == 0
    assert broken.ending is Ending.FAILED
