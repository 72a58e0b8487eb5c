"""What is measured of deliveries: their cost, how long they took, and whether every viewer got every event once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from delivery.publishers import Load
from delivery.session import Session


def deliver_measured(running: Session, load: Load) -> dict[str, Any]:
    """Publish to the viewers there are, which have had everything before; what that cost and took."""
    first = running.head + 1
    running.tally.clear()
    cpu, own = running.cpu_ns, time.process_time_ns()
    running.deliver(load)
    cpu, own = running.cpu_ns - cpu, time.process_time_ns() - own
    lost, repeated = running.missed(running.viewers, first, load.events)
    deliveries = len(running.tally.latencies)
    return {
        "deliveries": deliveries,
        "cpu_us_per_delivery": cpu / 1000 / max(deliveries, 1),
        **latency_figures(running.tally.latencies),
        "generator_us": own / 1000 / max(deliveries, 1),
        "lost": lost,
        "repeated": repeated,
    }


def latency_figures(latencies: Sequence[int]) -> dict[str, float]:
    """Median, p99 and the longest, of nanoseconds; nothing measured is not a number."""
    ordered = sorted(latencies)
    return {
        name: _quantile_ms(ordered, share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0))
    }


def _quantile_ms(ordered: Sequence[int], share: float) -> float:
    return ordered[math.ceil(len(ordered) * share) - 1] / 1e6 if ordered else float("nan")
