"""What every viewer may rely on, whatever happens around it: broadcaster, topics, subscriptions and outlets."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import random
import textwrap
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial

import pytest

from realtime import broadcaster as broadcaster_module
from realtime import events as events_module
from realtime import topic as topic_module
from realtime.broadcaster import Broadcaster
from realtime.events import Event, RunKey
from realtime.outlet import LIMIT_BYTES, MARK_BYTES, AsgiOutlet
from realtime.topic import PAGE, Ending, Subscription

KEY = RunKey("demo", "run")


def make_event(event_id: int, *, last: bool = False, run_id: str = "run", size: int = 0) -> Event:
    """One event, the terminal one if ``last``."""
    payload = {"n": event_id, "x": "x" * size} if size else {"n": event_id}
    if last:
        return Event(run_id, event_id, "complete", json.dumps({"all_done": True}))
    return Event(run_id, event_id, "running", json.dumps(payload))


class ListLog:
    """A run log in a list that notes what is read; it can be slow, broken, or have lost its beginning."""

    def __init__(self) -> None:
        self.logs: dict[RunKey, list[Event]] = {}
        self.reads: list[tuple[RunKey, int]] = []
        self.delay: Callable[[], float] = lambda: 0.0
        self.failures = 0

    def add(self, count: int, *, key: RunKey = KEY, last: bool = False, size: int = 0) -> list[Event]:
        """Append so many events to the log; nothing is published."""
        log = self.logs.setdefault(key, [])
        first = log[-1].id + 1 if log else 1
        made = [
            make_event(number, run_id=key.run_id, size=size, last=last and number == first + count - 1)
            for number in range(first, first + count)
        ]
        log += made
        return made

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        self.reads.append((key, after))
        await asyncio.sleep(self.delay())
        if self.failures:
            self.failures -= 1
            raise OSError("the log cannot be read now")
        # as a database does it: each read makes new objects
        page = [event for event in self.logs.get(key, []) if event.id > after][:limit]
        return [Event(event.run_id, event.id, event.type, event.payload) for event in page]

    async def heads(self, keys: Iterable[RunKey]) -> dict[RunKey, int]:
        return {key: self.logs[key][-1].id for key in keys if self.logs.get(key)}


class ListOutlet:
    """An outlet that notes what it is handed and can be shut and opened."""

    def __init__(self, *, takes: int = 1_000_000) -> None:
        self.got: list[int] = []
        self.batches: list[list[int]] = []
        self.ending: Ending | None = None
        self.ready = True
        self._takes = takes
        self._callbacks: list[Callable[[], None]] = []

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def send_events(self, events: Sequence[Event]) -> int:
        taken = [event.id for event in events[: self._takes]]
        self.got += taken
        self.batches.append(taken)
        return len(taken)

    def open(self) -> None:
        """Take more again."""
        self.ready = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_end(self, ending: Ending) -> None:
        """Note how the subscription ended."""
        assert self.ending is None
        self.ending = ending

    async def has(self, count: int) -> None:
        """Return when so many events have come."""
        async with asyncio.timeout(10):
            while len(self.got) < count:
                await asyncio.sleep(0)

    async def ended(self) -> Ending:
        """How the subscription ended, once it has."""
        async with asyncio.timeout(10):
            while self.ending is None:
                await asyncio.sleep(0)
        return self.ending


class BrokenOutlet(ListOutlet):
    """An outlet that fails when it is handed something."""

    def send_events(self, events: Sequence[Event]) -> int:
        raise RuntimeError("this outlet is broken")


@pytest.fixture
def log() -> ListLog:
    """The log of ``delivery``."""
    return ListLog()


@pytest.fixture
async def delivery(log: ListLog, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broadcaster]:
    """A broadcaster over ``log`` that tries a failed read again at once."""
    monkeypatch.setattr(topic_module, "RETRY_S", 0.0)
    made = Broadcaster(log)
    yield made
    await made.close()


def watch(
    delivery: Broadcaster, outlet: ListOutlet, cursor: int = 0, key: RunKey = KEY, head: int = 0
) -> Subscription:
    """Subscribe ``outlet`` to a run."""
    return delivery.subscribe(key, cursor, outlet, outlet.on_end, head=head)


def test_publish_and_subscribe_are_single_turns() -> None:
    """Invariant 3: ``publish`` and ``subscribe``, and all they call on the way, are plain functions without await."""
    for module in (broadcaster_module, topic_module, events_module):
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert not any(isinstance(inner, ast.Await) for inner in ast.walk(node)), node.name
    for function in (
        Broadcaster.publish,
        Broadcaster.subscribe,
        Broadcaster.flush,
        Subscription.feed,
        AsgiOutlet.send,
    ):
        assert not inspect.iscoroutinefunction(function)
        source = ast.parse(textwrap.dedent(inspect.getsource(function)))
        assert isinstance(source.body[0], ast.FunctionDef)


async def test_joining_at_any_moment_neither_misses_nor_repeats(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 3: a viewer that joins between any two events gets ids 1…n once, in order, like all others."""
    outlets = []
    for number in range(30):
        outlets.append(ListOutlet())
        watch(delivery, outlets[-1])
        delivery.publish(KEY, log.add(1, last=number == 29))
        if number % 3 == 0:
            await asyncio.sleep(0)
    for outlet in outlets:
        assert await outlet.ended() is Ending.FINISHED
        assert outlet.got == list(range(1, 31))


async def test_what_is_published_in_one_turn_leaves_together(delivery: Broadcaster, log: ListLog) -> None:
    """Events of one turn of the loop are handed over in one go."""
    log.add(1)
    outlet = ListOutlet()
    watch(delivery, outlet, cursor=1)
    delivery.publish(KEY, log.add(1))
    await outlet.has(1)
    outlet.batches.clear()
    for _ in range(5):
        delivery.publish(KEY, log.add(1))
    await outlet.has(6)
    assert outlet.batches == [[3, 4, 5, 6, 7]]


async def test_known_ids_are_ignored(delivery: Broadcaster, log: ListLog) -> None:
    """Publishing again what was published changes nothing, also when old and new come mixed."""
    outlet = ListOutlet()
    made = log.add(3)
    delivery.publish(KEY, made)
    watch(delivery, outlet)
    delivery.publish(KEY, made)
    delivery.publish(KEY, made[1:] + log.add(1))
    delivery.publish(KEY, [])
    await outlet.has(4)
    await asyncio.sleep(0)
    assert outlet.got == [1, 2, 3, 4]


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
    async with asyncio.timeout(10):
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
    assert max(len(batch) for batch in late.batches) <= PAGE
    await delivery.close()


async def test_bytes_bound_the_tail_as_well(log: ListLog) -> None:
    """A tail of few large events holds few of them; viewers behind it are served all the same."""
    delivery = Broadcaster(log, tail_bytes=100_000)
    shut = ListOutlet()
    subscription = watch(delivery, shut)
    delivery.publish(KEY, log.add(1))
    await shut.has(1)
    shut.ready = False
    delivery.publish(KEY, log.add(100, size=10_000))
    tail = subscription._topic.tail
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


async def test_outlet_that_takes_a_part_is_handed_the_rest(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 5: an outlet may take fewer events than it is handed; the cursor stands at the last it took."""
    log.add(300)
    crumbs = ListOutlet(takes=1)
    watch(delivery, crumbs)
    await crumbs.has(300)
    delivery.publish(KEY, log.add(1, last=True))
    assert await crumbs.ended() is Ending.FINISHED
    assert crumbs.got == list(range(1, 302))


@pytest.mark.parametrize("size", [0, 3_000, 50_000, 2 * LIMIT_BYTES])
async def test_asgi_outlet_owes_a_bounded_number_of_bytes(delivery: Broadcaster, log: ListLog, size: int) -> None:
    """Invariant 5: nothing is lost and at most the mark and one event wait, however large events are."""
    outlet: AsgiOutlet[str] = AsgiOutlet(lambda event: event.text)
    subscription = delivery.subscribe(KEY, 0, outlet, lambda ending: outlet.finish())
    count = 20 if size > LIMIT_BYTES else 300
    for _ in range(0, count, 20):
        delivery.publish(KEY, log.add(20, size=size))
        await asyncio.sleep(0)
        assert outlet.waiting_bytes <= MARK_BYTES + size + 200
    delivery.publish(KEY, log.add(1, last=True))
    got = []
    async for text in outlet:
        assert outlet.waiting_bytes <= MARK_BYTES + size + 200
        got.append(json.loads(text)["id"])
    assert got == list(range(1, count + 2))
    assert not outlet.overflowed
    assert subscription.closed


async def test_asgi_outlet_that_dropped_a_message_stays_overflowed() -> None:
    """Control frames that nobody takes are dropped beyond a limit, and the outlet says so for good."""
    outlet: AsgiOutlet[str] = AsgiOutlet(lambda event: event.text)
    frame = "x" * 1000
    while not outlet.overflowed:
        outlet.send(frame)
    assert LIMIT_BYTES <= outlet.waiting_bytes < LIMIT_BYTES + len(frame)
    outlet.finish()
    assert sum([len(message) async for message in outlet]) == LIMIT_BYTES + len(frame) - LIMIT_BYTES % len(frame)
    assert outlet.overflowed


async def test_asgi_outlet_cancelled_while_waiting_loses_nothing() -> None:
    """Taking the next message can be cancelled at any time; the message is the next one still."""
    outlet: AsgiOutlet[str] = AsgiOutlet(lambda event: event.text)
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
    async with asyncio.timeout(10):
        while not failing.closed:
            await asyncio.sleep(0)
    assert delivery.viewers == 0
    assert broken.ending is Ending.FAILED


async def test_same_run_id_of_two_tenants_are_two_runs(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 9: tail, subscriptions and reads are keyed by tenant and run id, so nothing crosses over."""
    ours, theirs = RunKey("demo", "run"), RunKey("other", "run")
    our_outlet, their_outlet = ListOutlet(), ListOutlet()
    watch(delivery, our_outlet, key=ours)
    watch(delivery, their_outlet, key=theirs)
    delivery.publish(ours, log.add(3, key=ours))
    delivery.publish(theirs, log.add(1, key=theirs, last=True))
    await our_outlet.has(3)
    assert await their_outlet.ended() is Ending.FINISHED
    assert (our_outlet.got, their_outlet.got) == ([1, 2, 3], [1])
    assert our_outlet.ending is None


async def test_event_is_encoded_once_for_all_viewers(
    delivery: Broadcaster, log: ListLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 4: a hundred viewers of each wire share one encoding of each event."""
    encoded: list[str] = []
    encode = events_module.encode_body

    def counting(kind: events_module.EventType, run_id: str, payload: str) -> str:
        encoded.append(payload)
        return encode(kind, run_id, payload)

    monkeypatch.setattr(events_module, "encode_body", counting)
    delivery.publish(KEY, log.add(1))
    texts: list[AsgiOutlet[str]] = [AsgiOutlet(lambda event: event.text) for _ in range(100)]
    wires: list[AsgiOutlet[bytes]] = [AsgiOutlet(lambda event: event.sse) for _ in range(100)]
    for outlet in (*texts, *wires):
        delivery.subscribe(KEY, 0, outlet, lambda ending: None)
    delivery.publish(KEY, log.add(9))
    seen = {tuple([await anext(outlet) for _ in range(10)]) for outlet in texts}
    streamed = {tuple([await anext(outlet) for _ in range(10)]) for outlet in wires}
    assert (len(seen), len(streamed)) == (1, 1)
    assert len(encoded) == len(set(encoded)) == 10


async def test_idle_runs_are_evicted_oldest_first_and_served_from_the_log(log: ListLog) -> None:
    """Invariant 8: runs nobody watches are kept in memory up to a number; what leaves memory is in the log still."""
    delivery = Broadcaster(log, idle_runs=3)
    keys = [RunKey("demo", f"run-{number}") for number in range(10)]
    for key in keys:
        delivery.publish(key, log.add(2, key=key))
    assert list(delivery._topics) == keys[-3:]
    outlet = ListOutlet()
    subscription = watch(delivery, outlet, key=keys[0])
    await outlet.has(2)
    delivery.publish(keys[0], log.add(1, key=keys[0]))
    await outlet.has(3)
    assert outlet.got == [1, 2, 3]
    subscription.close()
    assert len(delivery._topics) <= 3
    await delivery.close()


async def test_run_that_ended_leaves_memory_with_its_last_viewer(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 8: an ended run nobody watches occupies nothing, and is replayed from the log as often as asked."""
    for _ in range(3):
        outlet = ListOutlet()
        if not log.logs:
            delivery.publish(KEY, log.add(5, last=True))
        watch(delivery, outlet)
        assert await outlet.ended() is Ending.FINISHED
        assert outlet.got == [1, 2, 3, 4, 5]
        assert delivery._topics == {}


async def test_finished_run_answers_like_a_live_one(delivery: Broadcaster, log: ListLog) -> None:
    """Invariant 7: from every cursor the rest follows, then the end, once."""
    log.add(10, last=True)
    for cursor in range(10):
        outlet = ListOutlet()
        watch(delivery, outlet, cursor, head=10)
        assert await outlet.ended() is Ending.FINISHED
        assert outlet.got == list(range(cursor + 1, 11))


async def test_closed_subscription_is_handed_nothing(delivery: Broadcaster, log: ListLog) -> None:
    """After ``close`` no event and no ending comes, also where a read was under way or the outlet was shut."""
    log.add(3)
    reading, waiting = ListOutlet(), ListOutlet()
    watch(delivery, reading).close()
    waiting.ready = False
    watch(delivery, waiting).close()
    delivery.publish(KEY, log.add(1, last=True))
    waiting.open()
    witness = ListOutlet()
    watch(delivery, witness)
    await witness.ended()
    assert (reading.got, waiting.got) == ([], [])
    assert (reading.ending, waiting.ending) == (None, None)
    assert delivery.viewers == 0


async def test_log_that_fails_is_read_again(delivery: Broadcaster, log: ListLog) -> None:
    """A log that cannot be read for a while delays its viewers and loses them nothing."""
    log.add(5, last=True)
    log.failures = 3
    outlet = ListOutlet()
    watch(delivery, outlet)
    assert await outlet.ended() is Ending.FINISHED
    assert outlet.got == [1, 2, 3, 4, 5]


async def test_drain_tells_everybody_once_and_waits_for_them(delivery: Broadcaster) -> None:
    """Every connection is told, one that comes later as well, and drain returns when the last has gone."""
    told: list[str] = []
    leave = [delivery.on_drain(partial(told.append, name)) for name in ("a", "b")]
    draining = asyncio.ensure_future(delivery.drain())
    await asyncio.sleep(0)
    late = delivery.on_drain(partial(told.append, "late"))
    await asyncio.sleep(0)
    assert sorted(told) == ["a", "b", "late"]
    for gone in (*leave, late):
        assert not draining.done()
        gone()
        gone()
        await asyncio.sleep(0)
    await draining
    assert delivery.draining


async def test_drain_without_connections_returns_at_once(delivery: Broadcaster) -> None:
    """Nobody there, nobody to wait for."""
    await asyncio.wait_for(delivery.drain(), 1)


class Viewer:
    """A viewer that comes and goes with its cursor, through outlets that open and shut."""

    def __init__(self, delivery: Broadcaster, dice: random.Random) -> None:
        self.seen: list[int] = []
        self.ending: Ending | None = None
        self._delivery = delivery
        self._dice = dice
        self._outlet: ListOutlet | None = None
        self._subscription: Subscription | None = None

    def step(self) -> None:
        """Do one thing: connect, leave, shut or open."""
        if self._subscription is None:
            if self.ending is None:
                self.connect()
        elif self._dice.random() < 0.3:
            self.leave()
        elif self._outlet is not None:
            self._outlet.ready = False
            if self._dice.random() < 0.7:
                self._outlet.open()

    def connect(self) -> None:
        """Subscribe after what was seen."""
        cursor = self.seen[-1] if self.seen else 0
        self._outlet = ListOutlet(takes=self._dice.choice([1, 3, 1000]))
        self._subscription = self._delivery.subscribe(KEY, cursor, self._outlet, self._end)
        if self.ending is not None:
            self._keep()

    def leave(self) -> None:
        """Go, with what has come so far."""
        if self._subscription is not None:
            self._subscription.close()
            self._keep()

    def settle(self) -> None:
        """Be connected, and take everything."""
        if self._subscription is None and self.ending is None:
            self.connect()
        if self._outlet is not None:
            self._outlet.open()

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        if self._subscription is not None:
            self._keep()

    def _keep(self) -> None:
        if self._outlet is not None:
            self.seen += self._outlet.got
        self._outlet = self._subscription = None


@pytest.mark.parametrize("seed", range(30))
async def test_any_interleaving_gives_every_viewer_each_id_once_in_order(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Invariant 3: gaps, reads that are late or fail, and viewers that come, go and stall: ids 1…n for all."""
    monkeypatch.setattr(topic_module, "RETRY_S", 0.0)
    dice = random.Random(seed)
    log = ListLog()
    log.delay = lambda: dice.choice([0.0, 0.0, 0.0005])
    delivery = Broadcaster(log, tail_events=dice.choice([1, 3, 512]), idle_runs=dice.choice([0, 2]))
    viewers = [Viewer(delivery, dice) for _ in range(6)]
    total = 0
    for _ in range(80):
        match dice.randrange(6):
            case 0 | 1:
                count = dice.choice([1, 1, 2, 5, 150])
                made = log.add(count)
                total += count
                published = made[dice.choice([0, 0, 0, 1]) :]
                delivery.publish(KEY, published)
            case 2:
                log.failures = dice.choice([0, 0, 1])
            case 3:
                await asyncio.sleep(dice.choice([0, 0, 0.001]))
            case _:
                dice.choice(viewers).step()
    delivery.publish(KEY, log.add(1, last=True))
    log.failures = 0
    async with asyncio.timeout(20):
        while any(viewer.ending is None for viewer in viewers):
            for viewer in viewers:
                viewer.settle()
            await delivery.reconcile()
            await asyncio.sleep(0)
    assert [viewer.ending for viewer in viewers] == [Ending.FINISHED] * 6
    assert [viewer.seen for viewer in viewers] == [list(range(1, total + 2))] * 6
    assert delivery.viewers == 0
    assert delivery._topics == {}
    await delivery.close()


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
