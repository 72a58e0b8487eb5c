"""One run as delivery knows it: the newest part of its log, whoever watches it, and how both come together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Protocol

import structlog

from realtime.counts import DeliveryCounts
from realtime.events import Event, RunKey
from realtime.outlet import MARK_BYTES
from realtime.page import PAGE_EVENTS, Page
from realtime.subscription import Subscription
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

    @property
    def floor(self) -> int:
        """Everything above this id that was ever appended is in memory; 0 as long as that is nothing."""
        return 0 if self.tail is None else self.tail.floor

    @property
    def head(self) -> int:
        """How far the log goes, as far as is known; 0: it is not."""
        return 0 if self.tail is None else self.tail.head

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
        """Feed every subscription what was just appended: at once, or `FLUSH_S` after what they were fed last."""
        if self._grown_at is not None:
            return
        if not self.subscriptions:
            self._flushed_to = self.head
            return
        self._grown_at = time.monotonic()
        wait = self._flushed_at + FLUSH_S - self._grown_at
        if wait <= 0:
            self._flush()
        else:
            asyncio.get_running_loop().call_later(wait, self._flush)

    def _flush(self) -> None:
        begun_at = time.monotonic()
        head, grown_at, self._grown_at = self.head, self._grown_at, None
        if head <= self._flushed_to or grown_at is None:
            return  # what was appended was known, or the log has to be read first
        page = self.after(self._flushed_to)
        if page is None or page.terminal or page.last < head:
            for subscription in tuple(self.subscriptions):
                subscription.feed()
        else:
            self._hand_to_all(page, begun_at)
        self._flushed_at = time.monotonic()
        counts = self.counts
        counts.flush_events.add(head - self._flushed_to)
        counts.flush_s.add(self._flushed_at - begun_at)
        counts.wait_s.add(self._flushed_at - grown_at)
        self._flushed_to = head

    def _hand_to_all(self, page: Page, now: float) -> None:
        """Write ``page`` to every viewer who has all before it and can be written to; feed the others.

        This is where a run with many viewers spends its time: for each of them one look and one write, and no call
        of a function of ours.
        """
        before, last = page.cursor, page.last
        viewers = sent = 0
        for subscription in tuple(self.subscriptions):
            line = subscription.line
            if (
                line is None
                or (transport := line.transport) is None
                or subscription.cursor != before
                or subscription.waiting
                or transport.is_closing()
                or transport.get_write_buffer_size() > MARK_BYTES
            ):
                subscription.feed()
                continue
            try:
                data = line.page_bytes(page)
                transport.write(data)
            except Exception:
                subscription.fail()
                continue
            line.sent_at = now
            subscription.cursor = last
            viewers += 1
            sent += len(data)
        self.counts.deliveries += viewers * len(page.events)
        self.counts.bytes += sent

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

    def _lose_to(self, head: int) -> None:
        """The log no longer has what the tail lacks up to ``head``: have every viewer who is due it find that out."""
        if self.tail is not None:
            self.tail.skip_to(head)
            self._on_used(self)
            self.schedule()

    async def _read_missing(self) -> None:
        try:
            while self.tail is not None and self.tail.head < self._wanted:
                events = await self._read(self.tail.head)
                if not events or self.tail.append(events[0]) is Appended.GAP:
                    self._lose_to(self._wanted)
                    return
                for event in events[1:]:
                    self.tail.append(event)
                self._on_used(self)
                self.schedule()
        except Exception:
            return  # whoever is due these events reads on; so does the next comparison with the store
        finally:
            self._mending = None
