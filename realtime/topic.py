"""One run as delivery knows it, and its viewers: each is sent what is after its cursor.

What a subscription is due comes from the run's tail where that reaches back far enough, else from the log. A viewer
that takes no more is left at its cursor until it does; it costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum, auto
from typing import Protocol

import structlog

from realtime.events import Event, RunKey
from realtime.tail import Appended, RunTail

_log = structlog.get_logger(__name__)

PAGE = 128
"""Events handed to one viewer, or read from the log, at a time: others are served in between."""
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


class Outlet(Protocol):
    """How bytes leave to one connection. No function waits."""

    @property
    def ready(self) -> bool:
        """True while it takes more."""
        ...

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when it takes more again; never if it is closed before."""
        ...

    def send_events(self, events: Sequence[Event]) -> int:
        """Send these events of one run, in this order, as far as it takes them; how many that were, at least one."""
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

    __slots__ = ("_head", "_on_end", "_outlet", "_reading", "_topic", "_waiting", "closed", "cursor")

    def __init__(
        self,
        topic: Topic,
        cursor: int,
        outlet: Outlet,
        on_end: Callable[[Ending], None],
        head: int = 0,
    ) -> None:
        self.cursor = cursor
        self.closed = False
        self._topic = topic
        self._outlet = outlet
        self._on_end = on_end
        self._head = head
        self._reading: asyncio.Task[None] | None = None
        self._waiting = False

    def close(self) -> None:
        """No event is handed to the outlet after this. Closing twice is closing once."""
        if self.closed:
            return
        self.closed = True
        if self._reading is not None:
            self._reading.cancel()
        self._topic.leave(self)

    def feed(self) -> None:
        """Hand over what is after the cursor, for as long as the outlet takes it. Never waits, never raises."""
        try:
            self._feed()
        except Exception:
            self._fail()

    def _feed(self) -> None:
        while not (self.closed or self._reading or self._waiting):
            if not self._outlet.ready:
                self._waiting = True
                self._outlet.call_when_ready(self._resume)
                return
            tail = self._topic.tail
            due = None if tail is None else tail.after(self.cursor, PAGE)
            if due is None:
                self._reading = self._topic.spawn(self._read_page())
                return
            if not due:
                return
            self._hand_over(due)

    def _fail(self) -> None:
        _log.exception("a viewer's outlet failed; its subscription is closed", run_id=self._topic.key.run_id)
        self._end(Ending.FAILED)

    def _resume(self) -> None:
        self._waiting = False
        self.feed()

    def _hand_over(self, events: Sequence[Event]) -> None:
        last = events[self._outlet.send_events(events) - 1]
        self.cursor = last.id
        if last.terminal:
            self._end(Ending.FINISHED)

    def _end(self, ending: Ending) -> None:
        if not self.closed:
            self.close()
            self._on_end(ending)

    async def _read_page(self) -> None:
        topic = self._topic
        try:
            page = await topic.read(self.cursor)
        except Exception:
            asyncio.get_running_loop().call_later(RETRY_S, self.feed)
            return
        finally:
            self._reading = None
        try:
            self._take(page)
        except Exception:
            self._fail()
        if not self.closed and topic.tail is None and len(page) < PAGE:
            topic.learn_head(page[-1].id if page else self.cursor)
        self.feed()

    def _take(self, page: Sequence[Event]) -> None:
        """Hand over what was read; where the log no longer has what is due, end."""
        if self.closed:
            return
        floor = 0 if self._topic.tail is None else self._topic.tail.floor
        expired = not page and self.cursor < max(floor, self._head)
        if expired or (page and page[0].id != self.cursor + 1):
            self._end(Ending.LOST)
        elif page:
            self._hand_over(page)


class Topic:
    """One run: its tail (None until it is known how far the log goes) and its subscriptions."""

    def __init__(
        self,
        key: RunKey,
        log: LogReader,
        spawn: Spawn,
        *,
        make_tail: Callable[[int], RunTail],
        on_grown: Callable[[Topic], None],
        on_left: Callable[[Topic], None],
    ) -> None:
        self.key = key
        self.tail: RunTail | None = None
        self.subscriptions: set[Subscription] = set()
        self.spawn = spawn
        self._log = log
        self._make_tail = make_tail
        self._on_grown = on_grown
        self._on_left = on_left
        self._mending: asyncio.Task[None] | None = None
        self._wanted = 0
        self._readable = True

    def append(self, events: Sequence[Event]) -> None:
        """Take the next events of the log; after a gap, read the log instead."""
        tail = self.tail or self.learn_head(events[0].id - 1)
        for event in events:
            if tail.append(event) is Appended.GAP:
                self.mend(events[-1].id)
                break
        self._on_grown(self)

    def learn_head(self, head: int) -> RunTail:
        """The topic's tail: from ``head`` on it grows by what is appended."""
        self.tail = self._make_tail(head)
        return self.tail

    async def read(self, after: int) -> Sequence[Event]:
        """One page of the run's log. That it cannot be read is logged once, until it can."""
        try:
            page = await self._log.read(self.key, after, PAGE)
        except Exception as error:
            if self._readable:
                reason = f"{type(error).__name__}: {error}"
                _log.warning("run log cannot be read yet", run_id=self.key.run_id, reason=reason)
            self._readable = False
            raise
        self._readable = True
        return page

    def mend(self, head: int) -> None:
        """Read from the log what the tail lacks up to ``head``."""
        self._wanted = max(self._wanted, head)
        if self._mending is None:
            self._mending = self.spawn(self._read_missing())

    def leave(self, subscription: Subscription) -> None:
        """Take a closed subscription off the list."""
        self.subscriptions.discard(subscription)
        self._on_left(self)

    async def _read_missing(self) -> None:
        try:
            while self.tail is not None and self.tail.head < self._wanted:
                page = await self.read(self.tail.head)
                if not page or self.tail.append(page[0]) is Appended.GAP:
                    return
                for event in page[1:]:
                    self.tail.append(event)
                self._on_grown(self)
        except Exception:
            return  # whoever is due these events reads on; so does the next comparison with the store
        finally:
            self._mending = None
