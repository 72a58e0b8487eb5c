"""One run as delivery knows it, and its viewers: each is sent what is after its cursor.

What a subscription is due comes from the run's tail where that reaches back far enough, else from the log. A viewer
that takes no more is left at its cursor until it does; it costs the others nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum, auto
from typing import Protocol

import structlog

from realtime.counts import DeliveryCounts
from realtime.events import Event, RunKey
from realtime.outlet import Outlet
from realtime.page import PAGE_EVENTS, Page
from realtime.tail import Appended, RunTail

_log = structlog.get_logger(__name__)

FLUSH_S = 0.01
"""The first event leaves at once; what follows within so many seconds leaves in one write."""
RETRY_S = 1.0
"""Seconds until a log that could not be read is read again."""

Spawn = Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]


class LogReader(Protocol):
    """The run logs, as far as delivery reads them."""

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        """Up to ``limit`` events with ids above ``after``, in order."""
        ...

    async def heads(self, keys: Iterable[RunKey]) -> dict[RunKey, int]:
        """The newest event id of each of these runs that exists."""
        ...


class Ending(Enum):
    """Why a subscription ended by itself."""

    FINISHED = auto()
    """The run's terminal event has been handed to the outlet."""
    LOST = auto()
    """The log no longer holds what follows the cursor: the viewer needs a reset."""
    FAILED = auto()
    """Its outlet failed: the viewer must come back over another connection."""


class Subscription:
    """One viewer of one run. It owns a cursor, never a queue. Made by `Broadcaster.subscribe`."""

    __slots__ = ("_head", "_lagging", "_on_end", "_outlet", "_topic", "_waiting", "closed", "cursor")

    def __init__(
        self, topic: Topic, cursor: int, outlet: Outlet, on_end: Callable[[Ending], None], head: int = 0
    ) -> None:
        self.cursor = cursor
        self.closed = False
        self._topic = topic
        self._outlet = outlet
        self._on_end = on_end
        self._head = head
        self._waiting = False
        self._lagging = False

    def close(self) -> None:
        """No event is handed to the outlet after this. Closing twice is closing once."""
        if not self.closed:
            self.closed = True
            self._catch_up()
            self._topic.leave(self)

    def feed(self) -> None:
        """Hand over a page of what is after the cursor, where the outlet takes it; more follows by itself.

        Never waits, never raises.
        """
        if self.closed or self._waiting:
            return
        try:
            self._feed()
        except Exception:
            self._fail()

    def resume(self) -> None:
        """Go on where it waited."""
        self._waiting = False
        self._catch_up()
        self.feed()

    def take(self, events: Sequence[Event]) -> None:
        """Take what was read of the log; where that no longer has what is due, end. Never raises."""
        self._waiting = False
        if self.closed:
            return
        tail = self._topic.tail
        expired = not events and self.cursor < max(self._head, 0 if tail is None else tail.floor)
        if expired or (events and events[0].id != self.cursor + 1):
            self._end(Ending.LOST)
            return
        try:
            if events and self._outlet.ready:
                self._hand_over(Page.of(self.cursor, events))
        except Exception:
            self._fail()

    def _feed(self) -> None:
        if not self._outlet.ready:
            self._waiting = self._lagging = True
            self._topic.counts.lagging += 1
            self._outlet.call_when_ready(self.resume)
            return
        page = self._topic.after(self.cursor)
        if page is None:
            self._waiting = True
            self._topic.read_for(self)
        elif page.events:
            self._hand_over(page)

    def _hand_over(self, page: Page) -> None:
        topic = self._topic
        topic.counts.bytes += self._outlet.send_page(page)
        topic.counts.deliveries += len(page.events)
        self.cursor = page.last
        if page.terminal:
            self._end(Ending.FINISHED)
        elif topic.tail is not None and page.last < topic.tail.head:
            self._waiting = True  # in a later turn: others are served in between
            asyncio.get_running_loop().call_soon(self.resume)

    def _catch_up(self) -> None:
        if self._lagging:
            self._lagging = False
            self._topic.counts.lagging -= 1

    def _fail(self) -> None:
        _log.exception("a viewer's outlet failed; its subscription is closed", run_id=self._topic.key.run_id)
        self._end(Ending.FAILED)

    def _end(self, ending: Ending) -> None:
        if not self.closed:
            self.close()
            self._on_end(ending)


class Topic:
    """One run: its tail (None until it is known how far the log goes) and its subscriptions."""

    def __init__(
        self,
        key: RunKey,
        log: LogReader,
        spawn: Spawn,
        counts: DeliveryCounts,
        *,
        make_tail: Callable[[int], RunTail],
        on_used: Callable[[Topic], None],
        on_left: Callable[[Topic], None],
    ) -> None:
        self.key = key
        self.counts = counts
        self.tail: RunTail | None = None
        self.subscriptions: set[Subscription] = set()
        self._log = log
        self._spawn = spawn
        self._make_tail = make_tail
        self._on_used = on_used
        self._on_left = on_left
        self._grown_at: float | None = None
        self._flushed_at = float("-inf")
        self._flushed_to = 0
        self._readers: dict[int, list[Subscription]] = {}
        self._mending: asyncio.Task[None] | None = None
        self._wanted = 0
        self._readable = True

    def append(self, events: Sequence[Event]) -> None:
        """Take the next events of the log; after a gap, read the log instead."""
        tail = self.tail or self._learn_head(events[0].id - 1)
        for event in events:
            if tail.append(event) is Appended.GAP:
                self.mend(events[-1].id)
                break
        self._on_used(self)
        self.schedule()

    def after(self, cursor: int) -> Page | None:
        """What memory holds after ``cursor``; None: that must be read from the log."""
        return None if self.tail is None else self.tail.after(cursor)

    def schedule(self) -> None:
        """Feed every subscription what was just appended: in the next turn, or with what else comes in `FLUSH_S`."""
        if self._grown_at is not None or not self.subscriptions:
            return
        loop = asyncio.get_running_loop()
        self._grown_at = time.monotonic()
        wait = self._flushed_at + FLUSH_S - self._grown_at
        if wait <= 0:
            loop.call_soon(self._flush)
        else:
            loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        begun_at = time.monotonic()
        for subscription in tuple(self.subscriptions):
            subscription.feed()
        self._flushed_at = time.monotonic()
        if self.tail is not None and self._grown_at is not None:
            counts, head = self.counts, self.tail.head
            counts.flush_events.add(head - self._flushed_to)
            counts.flush_s.add(self._flushed_at - begun_at)
            counts.wait_s.add(self._flushed_at - self._grown_at)
            self._flushed_to = head
        self._grown_at = None

    def read_for(self, subscription: Subscription) -> None:
        """Read what follows the subscription's cursor; whoever waits for the same shares the reading."""
        readers = self._readers.setdefault(subscription.cursor, [])
        readers.append(subscription)
        if len(readers) == 1:
            self._spawn(self._read_for_all(subscription.cursor))

    def mend(self, head: int) -> None:
        """Read from the log what the tail lacks up to ``head``."""
        self._wanted = max(self._wanted, head)
        if self._mending is None:
            self._mending = self._spawn(self._read_missing())

    def leave(self, subscription: Subscription) -> None:
        """Take a closed subscription off the list."""
        self.subscriptions.discard(subscription)
        self._on_left(self)

    def _learn_head(self, head: int) -> RunTail:
        """The topic's tail: from ``head`` on it grows by what is appended."""
        self.tail = self._make_tail(head)
        self._flushed_to = head
        return self.tail

    async def _read_for_all(self, cursor: int) -> None:
        try:
            events = await self._read(cursor)
        except Exception:
            asyncio.get_running_loop().call_later(RETRY_S, self._read_again, cursor)
            return
        readers = self._readers.pop(cursor)
        for subscription in readers:
            subscription.take(events)
        following = [subscription for subscription in readers if not subscription.closed]
        if self.tail is None and len(events) < PAGE_EVENTS and following:
            self._learn_head(events[-1].id if events else cursor)
        if self.tail is not None:
            self.tail.prepend(events)
            self._on_used(self)
        for subscription in following:
            subscription.feed()

    def _read_again(self, cursor: int) -> None:
        for subscription in self._readers.pop(cursor):
            subscription.resume()

    async def _read(self, after: int) -> Sequence[Event]:
        """One page of the run's log. That it cannot be read is logged once, until it can."""
        try:
            events = await self._log.read(self.key, after, PAGE_EVENTS)
        except Exception as error:
            if self._readable:
                reason = f"{type(error).__name__}: {error}"
                _log.warning("run log cannot be read yet", run_id=self.key.run_id, reason=reason)
            self._readable = False
            raise
        self._readable = True
        return events

    async def _read_missing(self) -> None:
        try:
            while self.tail is not None and self.tail.head < self._wanted:
                events = await self._read(self.tail.head)
                if not events or self.tail.append(events[0]) is Appended.GAP:
                    return
                for event in events[1:]:
                    self.tail.append(event)
                self._on_used(self)
                self.schedule()
        except Exception:
            return  # whoever is due these events reads on; so does the next comparison with the store
        finally:
            self._mending = None
