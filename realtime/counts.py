"""What delivery, runs, and spending on language models come to: plain numbers that ``metrics`` tells. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
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


class RunOutcome(StrEnum):
    """How a run ended: as a success, or with the error code of its terminal event."""

    COMPLETED = "completed"
    STEP_FAILED = "STEP_FAILED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"
    OTHER = "other"
    """With a code that is none of these."""


class RunCounts:
    """What became of runs in this process since its start."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = dict.fromkeys(RunOutcome, 0)
        """Runs whose terminal event was published here."""
        self.takeovers = 0
        """Runs taken over from a worker that was lost."""

    def ended(self, outcome: str) -> None:
        """Count a run that ended so; what is no `RunOutcome` counts as other."""
        self.outcomes[outcome if outcome in self.outcomes else RunOutcome.OTHER] += 1

    def took_over(self) -> None:
        """Count a run that was taken over."""
        self.takeovers += 1


class SpendingCounts:
    """What calls of language models came to since the start, and how much of its month each tenant has used.

    The agents named ``agent_types`` count from 0 on.
    """

    def __init__(self, agent_types: Iterable[str] = ()) -> None:
        self.tokens = Counter(dict.fromkeys(agent_types, 0))
        """Spent, by agent."""
        self.warnings = 0
        """Tenants that passed the warning share of a month's tokens, once for each month."""
        self.refusals = 0
        """Calls and runs that were not begun because nothing was left."""
        self._shares: dict[str, tuple[str, float]] = {}

    def spent(self, agent_type: str, tokens: int) -> None:
        """Count the tokens of a call."""
        self.tokens[agent_type] += tokens

    def used(self, tenant: str, month: str, share: float) -> None:
        """Note what part of its tokens for ``month`` (as ``2026-11``) a tenant has used."""
        self._shares[tenant] = (month, share)

    def warned(self) -> None:
        """Count a tenant that has used most of its tokens."""
        self.warnings += 1

    def refused(self) -> None:
        """Count a call or a run that was not begun."""
        self.refusals += 1

    def highest_share(self, month: str) -> float:
        """The largest part that a tenant has used of its tokens for ``month``, as far as is known here."""
        return max((share for noted, share in self._shares.values() if noted == month), default=0.0)
