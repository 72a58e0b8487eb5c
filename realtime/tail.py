"""The newest part of one run's log, in memory. Pure: no store, no connection, no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from enum import Enum, auto
from itertools import islice

from realtime.events import Event
from realtime.page import PAGE_EVENTS, Page

SHARED_PAGES = 4
"""Pages kept of one tail for viewers with equal cursors; each append starts anew."""


class Appended(Enum):
    """What became of an event that was offered to a tail."""

    ADDED = auto()
    KNOWN = auto()
    """Its id is not above the head: it was there before, nothing changed."""
    GAP = auto()
    """Its id is above head + 1: what is between must be read from the log first, nothing changed."""


class RunTail:
    """Events ``floor + 1 … head`` of one run, contiguous, bounded in number and bytes; the oldest leave first.

    ``floor == head``: it holds nothing, and knows just how far the log goes. The newest event always stays, whatever
    its size.
    """

    def __init__(self, head: int, *, max_events: int = 512, max_bytes: int = 512 * 1024) -> None:
        self.head = head
        self.floor = head
        self.bytes = 0
        self._events: deque[Event] = deque()
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._max_events = max_events
        self._max_bytes = max_bytes

    def append(self, event: Event) -> Appended:
        """Take the event if it is the next one."""
        if event.id <= self.head:
            return Appended.KNOWN
        if event.id > self.head + 1:
            return Appended.GAP
        self._pages.clear()
        self._events.append(event)
        self.head = event.id
        self.bytes += event.size
        while len(self._events) > self._max_events or (self.bytes > self._max_bytes and len(self._events) > 1):
            self.bytes -= self._events.popleft().size
            self.floor += 1
        return Appended.ADDED

    def prepend(self, events: Sequence[Event]) -> None:
        """Take what was read of the log and ends where this begins, newest first, as far as there is room."""
        for event in reversed(events):
            if event.id > self.floor:
                continue
            full = len(self._events) == self._max_events or self.bytes + event.size > self._max_bytes
            if full or event.id != self.floor:
                return
            self._events.appendleft(event)
            self.floor -= 1
            self.bytes += event.size

    def after(self, cursor: int) -> Page | None:
        """A page of what is above ``cursor``, empty where nothing is; None: that begins below what is held here."""
        page = self._pages.get(cursor)
        if page is not None:
            return page
        if cursor < self.floor:
            return None
        skip = cursor - self.floor
        page = self._pages[cursor] = Page.of(cursor, islice(self._events, skip, skip + PAGE_EVENTS))
        if len(self._pages) > SHARED_PAGES:
            self._pages.popitem(last=False)
        return page

    def skip_to(self, head: int) -> None:
        """Hold nothing any more, and go on after ``head``: what is between is lost."""
        self.head = head
        self.forget()

    def forget(self) -> None:
        """Hold nothing any more; the log has it."""
        self._events.clear()
        self._pages.clear()
        self.floor = self.head
        self.bytes = 0

    @property
    def ended(self) -> bool:
        """True where the newest event held is the last of the run."""
        return bool(self._events) and self._events[-1].terminal


class TailBudget:
    """Keeps all tails together within ``max_bytes``: over that, the least recently used forget what they hold."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._sizes: OrderedDict[RunTail, int] = OrderedDict()

    def use(self, tail: RunTail) -> None:
        """Note that ``tail`` was just written or read; it is the last to be forgotten."""
        self.bytes += tail.bytes - self._sizes.pop(tail, 0)
        self._sizes[tail] = tail.bytes
        while self.bytes > self._max_bytes and len(self._sizes) > 1:
            oldest, size = self._sizes.popitem(last=False)
            oldest.forget()
            self.bytes -= size

    def release(self, tail: RunTail) -> None:
        """``tail`` is gone."""
        self.bytes -= self._sizes.pop(tail, 0)
