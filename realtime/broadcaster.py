"""Every run's log to every viewer: one code path, *send what is after the cursor*.

``publish`` and ``subscribe`` contain no ``await``: each is one turn of the event loop, so the order of events is
equal for all viewers, and joining can neither miss nor repeat one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

import structlog

from realtime.counts import DeliveryCounts, ResumeKind
from realtime.events import Event, RunKey
from realtime.outlet import Outlet
from realtime.subscription import Ending, Subscription
from realtime.tail import RunTail, TailBudget
from realtime.topic import LogReader, Topic

_log = structlog.get_logger(__name__)


class Broadcaster:
    """Fans the events of runs out to subscriptions.

    Runs are keyed by (tenant, run id). A run nobody watches keeps its tail only among the ``idle_runs`` newest such,
    and loses it when it ends: the log has everything.
    """

    def __init__(
        self,
        log: LogReader,
        *,
        tail_events: int = 512,
        tail_bytes: int = 512 * 1024,
        tails_bytes: int = 64 * 1024 * 1024,
        idle_runs: int = 256,
    ) -> None:
        self.draining = False
        self.counts = DeliveryCounts()
        self.on_publish: Callable[[RunKey], object] = _ignore
        """Called with each run whose events are published; neither waits nor raises."""
        self._log = log
        self._tail_events = tail_events
        self._tail_bytes = tail_bytes
        self._idle_runs = idle_runs
        self._budget = TailBudget(tails_bytes)
        self._topics: dict[RunKey, Topic] = {}
        self._idle: OrderedDict[RunKey, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._guests: set[Callable[[], None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def publish(self, key: RunKey, events: Sequence[Event]) -> None:
        """Tell viewers of saved events, in the order of their ids. Without viewers it is a silent no-op.

        Ids that are known are ignored; after a gap the log is read instead. Viewers are fed at once, and what follows
        within `FLUSH_S` leaves together after that. Never raises.
        """
        if not events:
            return
        topic = self._topics.get(key) or self._open(key)
        topic.append(events)
        self.counts.published += len(events)
        self._keep_or_drop(topic)
        self.on_publish(key)

    def subscribe(
        self,
        key: RunKey,
        cursor: int,
        outlet: Outlet,
        on_end: Callable[[Ending], None],
        *,
        head: int = 0,
        resumed: bool = False,
    ) -> Subscription:
        """Send every event after ``cursor`` to ``outlet``: those there are, then each as it comes, in order, once.

        ``cursor`` is at most the head of the log, and ``head`` how far that is known to go: where it no longer holds
        what is between, the subscription ends as ``Ending.LOST``. ``on_end`` is called when the subscription ended by
        itself, after the last event was handed over; not after ``close``. ``resumed``: the viewer came with a cursor,
        which is counted.
        """
        topic = self._topics.get(key) or self._open(key)
        self.counts.replay_events.add(max(head, topic.head, cursor) - cursor)
        if resumed:
            self.counts.resumes[ResumeKind.STORE if topic.after(cursor) is None else ResumeKind.TAIL] += 1
        subscription = Subscription(topic, cursor, outlet, on_end, head)
        topic.subscriptions.add(subscription)
        self._idle.pop(key, None)
        subscription.feed()
        return subscription

    async def reconcile(self) -> None:
        """Compare the heads of watched runs with the log, and read what was not published here."""
        watched = [topic for topic in self._topics.values() if topic.subscriptions and topic.tail is not None]
        heads = await self._log.heads(topic.key for topic in watched)
        for topic in watched:
            head = heads.get(topic.key, 0)
            if topic.tail is not None and head > topic.tail.head:
                topic.mend(head)

    def on_drain(self, goodbye: Callable[[], None]) -> Callable[[], None]:
        """Call ``goodbye`` once when the server drains; call the function returned once its connection has gone."""
        self._guests.add(goodbye)
        self._empty.clear()
        if self.draining:
            asyncio.get_running_loop().call_soon(goodbye)

        def gone() -> None:
            self._guests.discard(goodbye)
            if not self._guests:
                self._empty.set()

        return gone

    async def drain(self) -> None:
        """Tell every connection to end its streams, those still to come as well, and return when all have gone."""
        self.draining = True
        for goodbye in tuple(self._guests):
            goodbye()
        await self._empty.wait()

    async def close(self) -> None:
        """Stop reading logs. Nothing is delivered after this."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def viewers(self) -> int:
        """How many subscriptions there are."""
        return sum(len(topic.subscriptions) for topic in self._topics.values())

    @property
    def runs(self) -> int:
        """How many runs are known in memory: those watched, and the newest that are not."""
        return len(self._topics)

    @property
    def tail_bytes(self) -> int:
        """How much all tails hold together."""
        return self._budget.bytes

    @property
    def guests(self) -> int:
        """How many connections there are that a drain would tell."""
        return len(self._guests)

    def _open(self, key: RunKey) -> Topic:
        topic = self._topics[key] = Topic(
            key,
            self._log,
            self._spawn,
            self.counts,
            make_tail=partial(RunTail, max_events=self._tail_events, max_bytes=self._tail_bytes),
            on_used=self._note_use,
            on_left=self._keep_or_drop,
        )
        return topic

    def _keep_or_drop(self, topic: Topic) -> None:
        """Bound the runs that nobody watches: those that ended go at once, the others when too many."""
        if topic.subscriptions or self._topics.get(topic.key) is not topic:
            return
        self._idle[topic.key] = None
        self._idle.move_to_end(topic.key)
        if topic.tail is None or topic.tail.ended:
            self._drop(topic.key)
        while len(self._idle) > self._idle_runs:
            self._drop(next(iter(self._idle)))

    def _drop(self, key: RunKey) -> None:
        del self._idle[key]
        tail = self._topics.pop(key).tail
        if tail is not None:
            self._budget.release(tail)

    def _note_use(self, topic: Topic) -> None:
        if topic.tail is not None and self._topics.get(topic.key) is topic:
            self._budget.use(topic.tail)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run ``work`` until it is done or the broadcaster closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _ignore(key: RunKey) -> None:
    """Nobody minds."""
