"""What every viewer may rely on, whatever happens around it: broadcaster, topics and subscriptions."""

from __future__ import annotations

import ast
import asyncio
import inspect
import random
import textwrap
from functools import partial

import pytest
from delivery_stage import KEY, ListLog, ListOutlet, watch

from realtime import broadcaster as broadcaster_module
from realtime import events as events_module
from realtime import topic as topic_module
from realtime.asgi_outlet import AsgiOutlet
from realtime.broadcaster import Broadcaster
from realtime.events import RunKey
from realtime.subscription import Ending, Subscription


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


async def test_first_event_leaves_at_once_and_what_follows_leaves_together(
    delivery: Broadcaster, log: ListLog
) -> None:
    """An event is handed over in the very turn it is published in; those of the next milliseconds in one go."""
    outlet = ListOutlet()
    delivery.publish(KEY, log.add(1))
    watch(delivery, outlet, cursor=1)
    delivery.publish(KEY, log.add(1))
    assert outlet.batches == [[2]]
    for _ in range(5):
        delivery.publish(KEY, log.add(1))
    await outlet.has(6)
    assert outlet.batches == [[2], [3, 4, 5, 6, 7]]


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
    texts: list[AsgiOutlet[str]] = [
        AsgiOutlet(lambda page: [event.text for event in page.events]) for _ in range(100)
    ]
    wires: list[AsgiOutlet[bytes]] = [
        AsgiOutlet(lambda page: [event.sse for event in page.events]) for _ in range(100)
    ]
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
