"""How long a run may take, from how long others took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

import msgspec

FEWEST = 3
"""Runs that a range is made of; fewer say too little."""


class DurationRange(msgspec.Struct, frozen=True, kw_only=True):
    """Half of ``samples`` past runs took from ``low_s`` to ``high_s`` seconds; None: they are too few."""

    samples: int
    low_s: float | None = None
    high_s: float | None = None


def usual_range(durations: Sequence[float]) -> DurationRange:
    """The quartiles of ``durations``, in seconds, to the millisecond, whatever their order.

    Those between two of them are interpolated, with the shortest as 0 % and the longest as 100 %
    (`statistics.quantiles` with ``method="inclusive"``), so neither lies outside of what was seen.
    """
    if len(durations) < FEWEST:
        return DurationRange(samples=len(durations))
    low, _, high = quantiles(durations, n=4, method="inclusive")
    return DurationRange(samples=len(durations), low_s=round(low, 3), high_s=round(high, 3))
