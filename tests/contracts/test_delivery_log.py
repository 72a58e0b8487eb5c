"""Delivery from the log: backlogs, gaps, lost publishes, and logs that fail or are gone."""

from __future__ import annotations

import asyncio

from delivery_stage import KEY, ListLog, ListOutlet, watch

from realtime.broadcaster import Broadcaster
from realtime.events import RunKey
from realtime.page import PAGE_EVENTS
from realtime.subscription import Ending


async def test_gap_is_mended_from_the_log(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 3: the tail takes head + 1 only; what was never published here is read from the log, in its place."""
    outlet = ListOutlet()
    delivery.publish(KEY, log.add(2))
    watch(delivery, outlet)
    log.add(300)
    delivery.publish(KEY, log.add(1, last=True))
    assert await outlet.ended() is Ending.FINISHED
    assert outlet.got == list(range(1, 304))


async def test_gap_that_cannot_be_mended_now_is_mended_later(delivery: Broadcaster, log: ListLog) -> None:
    """A log that fails while a gap is mended leaves viewers where they are, until the heads are compared."""
    outlet = ListOutlet()
    delivery.publish(KEY, log.add(1))
    watch(delivery, outlet)
    await outlet.has(1)
    log.failures = 1
    log.add(1)
    delivery.publish(KEY, log.add(1))
    async with asyncio.timeout(30):
        while log.failures:
            await asyncio.sleep(0)
    assert outlet.got == [1]
    await delivery.reconcile()
    await outlet.has(3)
    assert outlet.got == [1, 2, 3]


async def test_reconcile_finds_what_was_never_published(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 3: comparing heads delivers what another process has written, and asks for watched runs only."""
    outlet = ListOutlet()
    log.add(2)
    watch(delivery, outlet)
    await outlet.has(2)
    log.add(200, last=True)
    log.add(5, key=RunKey("demo", "unwatched"))
    await delivery.reconcile()
    assert await outlet.ended() is Ending.FINISHED
    assert outlet.got == list(range(1, 203))
    assert {key for key, _ in log.reads} == {KEY}


async def test_tail_smaller_than_the_backlog_is_served_from_the_log(log: ListLog) -> None:
    """What memory no longer holds comes from the log in pages, and goes over into what is live."""
    delivery = Broadcaster(log, tail_events=4)
    first = ListOutlet()
    watch(delivery, first)
    for _ in range(50):
        delivery.publish(KEY, log.add(10))
    late = ListOutlet()
    watch(delivery, late)
    delivery.publish(KEY, log.add(1, last=True))
    for outlet in (first, late):
        assert await outlet.ended() is Ending.FINISHED
        assert outlet.got == list(range(1, 502))
    assert max(len(batch) for batch in late.batches) <= PAGE_EVENTS
    await delivery.close()


async def test_bytes_bound_the_tail_as_well(log: ListLog) -> None:
    """A tail of few large events holds few of them; viewers behind it are served all the same."""
    delivery = Broadcaster(log, tail_bytes=100_000)
    shut = ListOutlet()
    watch(delivery, shut)
    delivery.publish(KEY, log.add(1))
    await shut.has(1)
    shut.ready = False
    delivery.publish(KEY, log.add(100, size=10_000))
    topic = delivery._topics[KEY]
    tail = topic.tail
    assert tail is not None
    assert tail.bytes <= 100_000
    shut.open()
    await shut.has(101)
    assert shut.got == list(range(1, 102))
    await delivery.close()


async def test_log_that_lost_what_is_due_ends_the_subscription_as_lost(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 6: a beginning that is gone, or a log that is gone whole, is said, never skipped."""
    log.add(20)
    del log.logs[KEY][:10]
    beheaded = ListOutlet()
    watch(delivery, beheaded, cursor=5, head=20)
    assert await beheaded.ended() is Ending.LOST
    log.logs[KEY] = []
    empty = ListOutlet()
    watch(delivery, empty, cursor=5, head=20)
    assert await empty.ended() is Ending.LOST
    assert beheaded.got == empty.got == []
    assert delivery.viewers == 0


async def test_log_that_went_before_its_end_was_told_is_lost_to_live_viewers(
    delivery: Broadcaster, log: ListLog
) -> None:
    """Invariant 6: a viewer who has all that was told, of a run whose rest went untold, is not left waiting."""
    live, shut = ListOutlet(), ListOutlet()
    delivery.publish(KEY, log.add(3))
    for outlet in (live, shut):
        watch(delivery, outlet)
    await shut.has(3)
    shut.ready = False
    log.add(2, last=True)
    log.kept_heads = await log.heads([KEY])
    del log.logs[KEY]
    await delivery.reconcile()
    assert await live.ended() is Ending.LOST
    shut.open()
    assert await shut.ended() is Ending.LOST
    assert live.got == shut.got == [1, 2, 3]
    assert delivery.viewers == 0


async def test_log_that_fails_is_read_again(delivery: Broadcaster, log: ListLog) -> None:
    """A log that cannot be read for a while delays its viewers and loses them nothing."""
    log.add(5, last=True)
    log.failures = 3
    outlet = ListOutlet()
    watch(delivery, outlet)
    assert await outlet.ended() is Ending.FINISHED
    assert outlet.got == [1, 2, 3, 4, 5]


async def test_log_that_is_gone_is_lost_to_every_viewer(delivery: Broadcaster) -> None:
    """Invariant 6: viewers who come together to a log that is gone are all told, and so is whoever comes later."""
    together = [ListOutlet() for _ in range(8)]
    for outlet in together:
        watch(delivery, outlet, head=6)
    assert [await outlet.ended() for outlet in together] == [Ending.LOST] * 8
    later = ListOutlet()
    watch(delivery, later, cursor=3, head=6)
    assert await later.ended() is Ending.LOST
    assert delivery.viewers == 0


async def test_gap_in_the_middle_of_a_batch_is_mended_to_its_end(delivery: Broadcaster, log: ListLog) -> None:
    """After a lost publish every event of the next batch reaches the viewer, without another publish."""
    outlet = ListOutlet()
    delivery.publish(KEY, log.add(1))
    watch(delivery, outlet)
    log.add(1)
    delivery.publish(KEY, log.add(3))
    await outlet.has(5)
    assert outlet.got == [1, 2, 3, 4, 5]
