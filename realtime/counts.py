"""What delivery counts of itself: plain numbers, cheap enough for every event; ``metrics`` tells them. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
EVENTS = (0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


class Distribution:
    """How often values were up to each of ``bounds``, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class ResumeKind(StrEnum):
    """Where a viewer that came back with a cursor was served from."""

    TAIL = "tail"
    """Memory."""
    STORE = "store"
    """The run's log."""
    RESET = "reset"
    """Nowhere: it was told the state instead."""


class DeliveryCounts:
    """The counts of one broadcaster since its start."""

    def __init__(self) -> None:
        self.published = 0
        """Events."""
        self.deliveries = 0
        """Events, once for each viewer they were handed to."""
        self.bytes = 0
        """Of those, as they leave."""
        self.lagging = 0
        """Subscriptions that wait for their viewer to take more, now."""
        self.flush_events = Distribution(EVENTS[1:])
        """Of one run, handed to its viewers in one turn of the loop."""
        self.flush_s = Distribution(SECONDS)
        """How long such a turn takes."""
        self.wait_s = Distribution(SECONDS)
        """From the publishing of the oldest event of a flush to the end of that flush."""
        self.replay_events = Distribution(EVENTS)
        """Between the cursor and the head, once for each subscription."""
        self.resumes = dict.fromkeys(ResumeKind, 0)
