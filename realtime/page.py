"""A page of one run's log: what a viewer is handed at a time, encoded once for all who are due it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from realtime.events import Event
from realtime.wire import chunk

PAGE_EVENTS = 128
"""Events in a page: so many are read from the log, or handed to one viewer, before others are served."""
PAGE_BYTES = 64 * 1024
"""A page is full when the payloads in it have so many characters; one event always fits."""


class Page:
    """Consecutive events of one run, after ``cursor``, up to ``last``. Immutable; viewers share it and its bytes."""

    def __init__(self, cursor: int, events: Sequence[Event]) -> None:
        self.cursor = cursor
        self.events = events
        self.last = events[-1].id if events else cursor

    @classmethod
    def of(cls, cursor: int, events: Iterable[Event]) -> Page:
        """As many of these as a page takes, from the first on."""
        taken: list[Event] = []
        size = 0
        for event in events:
            taken.append(event)
            size += len(event.payload)
            if size >= PAGE_BYTES or len(taken) == PAGE_EVENTS:
                break
        return cls(cursor, taken)

    @property
    def terminal(self) -> bool:
        """True where the run ends with it."""
        return bool(self.events) and self.events[-1].terminal

    @cached_property
    def frames(self) -> bytes:
        """The events as WebSocket frames, one message each."""
        return b"".join([event.frame for event in self.events])

    @cached_property
    def sse(self) -> bytes:
        """The events on SSE."""
        return b"".join([event.sse for event in self.events])

    @cached_property
    def chunk(self) -> bytes:
        """The events on SSE, in one chunk of HTTP/1.1."""
        return chunk(self.sse)
