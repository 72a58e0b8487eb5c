"""The newest part of one run's log, in memory. Pure: no store, no connection, no clock."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from itertools import islice

from realtime.events import Event


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
        self._max_events = max_events
        self._max_bytes = max_bytes

    def append(self, event: Event) -> Appended:
        """Take the event if it is the next one."""
        if event.id <= self.head:
            return Appended.KNOWN
        if event.id > self.head + 1:
            return Appended.GAP
        self._events.append(event)
        self.head = event.id
        self.bytes += event.size
        while len(self._events) > self._max_events or (self.bytes > self._max_bytes and len(self._events) > 1):
            self.bytes -= self._events.popleft().size
            self.floor += 1
        return Appended.ADDED

    def after(self, cursor: int, limit: int) -> list[Event] | None:
        """Up to ``limit`` events with ids above ``cursor``, in order; None: they begin below what is held here."""
        if cursor < self.floor:
            return None
        skip = cursor - self.floor
        return list(islice(self._events, skip, skip + limit))

    @property
    def ended(self) -> bool:
        """True where the newest event held is the last of the run."""
        return bool(self._events) and self._events[-1].terminal
