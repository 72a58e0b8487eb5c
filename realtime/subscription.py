"""One viewer of one run: it is sent what is after its cursor.

What it is due comes from the run's tail where that reaches back far enough, else from the log. A viewer that takes no
more is left at its cursor until it does; it costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Protocol

import structlog

from realtime.counts import DeliveryCounts
from realtime.events import Event, RunKey
from realtime.outlet import Outlet
from realtime.page import Page

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """The run that a subscription is of."""

    key: RunKey
    counts: DeliveryCounts

    @property
    def floor(self) -> int:
        """Everything above this id that was ever appended is in memory."""
        ...

    @property
    def head(self) -> int:
        """How far the log goes, as far as is known; 0: it is not."""
        ...

    def after(self, cursor: int) -> Page | None:
        """What memory holds after ``cursor``; None: that must be read from the log."""
        ...

    def read_for(self, subscription: Subscription) -> None:
        """Read what follows the subscription's cursor, and have it taken."""
        ...

    def leave(self, subscription: Subscription) -> None:
        """Take a closed subscription off the list."""
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

    __slots__ = ("_head", "_lagging", "_on_end", "_source", "closed", "cursor", "line", "outlet", "waiting")

    def __init__(
        self, source: Source, cursor: int, outlet: Outlet, on_end: Callable[[Ending], None], head: int = 0
    ) -> None:
        self.cursor = cursor
        self.closed = False
        self._source = source
        self.outlet = outlet
        self.line = outlet.line
        self._on_end = on_end
        self._head = head
        self.waiting = False
        self._lagging = False

    def close(self) -> None:
        """No event is handed to the outlet after this. Closing twice is closing once."""
        if not self.closed:
            self.closed = self.waiting = True
            self._catch_up()
            self._source.leave(self)

    def feed(self) -> None:
        """Hand over a page of what is after the cursor, where the outlet takes it; more follows by itself.

        Never waits, never raises.
        """
        if self.waiting:
            return
        try:
            self._feed()
        except Exception:
            self.fail()

    def resume(self) -> None:
        """Go on where it waited."""
        self.waiting = self.closed
        self._catch_up()
        self.feed()

    def take(self, events: Sequence[Event]) -> None:
        """Take what was read of the log; where that no longer has what is due, end. Never raises."""
        if self.closed:
            return
        self.waiting = False
        expired = not events and self.cursor < max(self._head, self._source.floor)
        if expired or (events and events[0].id != self.cursor + 1):
            self._end(Ending.LOST)
            return
        try:
            if events and self.outlet.ready:
                self._hand_over(Page.of(self.cursor, events))
        except Exception:
            self.fail()

    def _feed(self) -> None:
        if not self.outlet.ready:
            self.waiting = self._lagging = True
            self._source.counts.lagging += 1
            self.outlet.call_when_ready(self.resume)
            return
        page = self._source.after(self.cursor)
        if page is None:
            self.waiting = True
            self._source.read_for(self)
        elif page.events:
            self._hand_over(page)

    def _hand_over(self, page: Page) -> None:
        source = self._source
        source.counts.bytes += self.outlet.send_page(page)
        source.counts.deliveries += len(page.events)
        self.cursor = page.last
        if page.terminal:
            self._end(Ending.FINISHED)
        elif page.last < source.head:
            self.waiting = True  # in a later turn: others are served in between
            asyncio.get_running_loop().call_soon(self.resume)

    def _catch_up(self) -> None:
        if self._lagging:
            self._lagging = False
            self._source.counts.lagging -= 1

    def fail(self) -> None:
        """The outlet raised: end. Called where that was caught."""
        _log.exception("a viewer's outlet failed; its subscription is closed", run_id=self._source.key.run_id)
        self._end(Ending.FAILED)

    def _end(self, ending: Ending) -> None:
        if not self.closed:
            self.close()
            self._on_end(ending)
