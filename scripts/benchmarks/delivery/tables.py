"""Rows as tables that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from report import show

HEADINGS = {
    "server": "server",
    "transport": "over",
    "source": "from",
    "viewers": "viewers",
    "behind": "behind",
    "rate": "ev/s",
    "deliveries": "events",
    "cpu_us_per_delivery": "CPU µs",
    "cpu_us_per_viewer": "CPU µs",
    "wall_ms": "all ms",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "max_ms": "max ms",
    "p99_undisturbed_ms": "alone",
    "p99_ratio": "ratio",
    "growth_kb_per_stalled": "KB/stalled",
    "let_go": "let go",
    "gone_s": "gone s",
    "rss_kb_per_viewer": "KB/viewer",
    "rss_mb_before": "MB before",
    "generator_us": "gen. µs",
    "lost": "lost",
    "repeated": "again",
}

LEFT_OUT = {
    "storm": {"max_ms"},
    "stalled": {"deliveries", "p50_ms", "max_ms"},
    "latency": {"viewers", "cpu_us_per_delivery", "generator_us"},
}
"""Figures that stand in the JSON only."""

LEFT_OUT = {
    "storm": {"max_ms"},
    "stalled": {"deliveries", "p50_ms", "max_ms"},
    "latency": {"viewers", "cpu_us_per_delivery", "generator_us"},
}
"""Figures that stand in the JSON only."""

TITLES = {
    "fanout": "Many viewers of one run: server CPU per delivered event, publish call to viewer, memory per viewer",
    "sparse": "One viewer in each of many runs: server CPU per event",
    "idle": "Viewers of a run in which nothing happens: memory of each",
    "storm": "Everybody comes back at once, each some events behind: until the last has everything",
    "stalled": "Some viewers stop reading: latency of the others, memory, when the server lets go",
    "latency": "One event at a time, one viewer: publish call to viewer",
}


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """A table for each kind of work, in the order in which they were measured."""
    for work, title in TITLES.items():
        of_work = [_narrow(row, LEFT_OUT.get(work, set())) for row in rows if row["work"] == work]
        if of_work:
            show(title, of_work)


def _narrow(row: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    return {heading: row[name] for name, heading in HEADINGS.items() if name in row and name not in left_out}
