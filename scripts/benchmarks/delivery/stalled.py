"""Viewers that stop reading: what they do to the others, what they cost, and when the server lets go of them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from delivery.catalogue import Server
from delivery.figures import latency_figures
from delivery.processes import established
from delivery.publishers import Load
from delivery.session import Session, session

RECEIVE_BUFFER_BYTES = 4096
"""What the kernel takes for a viewer that does not read, about."""
PATIENCE_S = 60
"""So long viewers that do not read are waited for to be let go of."""


class Stall(NamedTuple):
    """How many of how many stop reading, while events of this size come."""

    viewers: int
    stalled: int
    rate: float
    padding: int
    undisturbed_s: int
    """How long those that read are measured without the others."""


class _Slices(NamedTuple):
    """What was seen while events came, second by second."""

    latencies: dict[str, float]
    growth_kb: int
    """Of the server, at its largest."""
    gone_s: list[float]
    """When it let go of each viewer that does not read, as far as it did."""
    deliveries: int
    lost: int
    repeated: int


def measure_stalled(server: Server, transport: str, stall: Stall, **options: object) -> dict[str, Any]:
    """The viewers that read, with the others and, in a process of its own, without them."""
    with session(server, transport, runs=1, **options) as running:
        running.connect(stall.viewers - stall.stalled)
        alone = _watch(running, stall, set())
    with session(server, transport, runs=1, **options) as running:
        running.connect(stall.viewers - stall.stalled)
        stopped = running.connect(stall.stalled, receive_buffer=RECEIVE_BUFFER_BYTES)
        for viewer in stopped:
            viewer.stall()
            running.viewers.remove(viewer)
        try:
            disturbed = _watch(running, stall, {viewer.local_port for viewer in stopped})
        finally:
            for viewer in stopped:
                viewer.close()
        versions = running.versions
    return {
        "viewers": stall.viewers,
        "rate": stall.rate,
        "stalled": stall.stalled,
        "deliveries": disturbed.deliveries,
        **disturbed.latencies,
        "p99_undisturbed_ms": alone.latencies["p99_ms"],
        "p99_ratio": disturbed.latencies["p99_ms"] / alone.latencies["p99_ms"],
        "growth_kb_per_stalled": (disturbed.growth_kb - alone.growth_kb) / stall.stalled,
        "let_go": len(disturbed.gone_s),
        "gone_s": max(disturbed.gone_s) if len(disturbed.gone_s) == stall.stalled else float("inf"),
        "lost": alone.lost + disturbed.lost,
        "repeated": alone.repeated + disturbed.repeated,
        "versions": versions,
    }


def _watch(running: Session, stall: Stall, stopped: set[int]) -> _Slices:
    """Deliver a second's worth at a time to those who read: until the server has let go of all on the ``stopped``
    ports or patience ends; where there are none, for some seconds."""
    running.settle()
    first, before = running.head + 1, running.rss_kb
    running.tally.clear()
    largest, gone_s = before, []
    waiting, started = set(stopped), time.monotonic()
    while time.monotonic() < started + (PATIENCE_S if stopped else stall.undisturbed_s) and (waiting or not stopped):
        running.deliver(Load(1, stall.rate, 1.0, stall.padding))
        largest = max(largest, running.rss_kb)
        left = waiting & established(running.process.told["port"])
        gone_s += [time.monotonic() - started] * (len(waiting) - len(left))
        waiting = left
    lost, repeated = running.missed(running.viewers, first, running.head + 1 - first)
    latencies = running.tally.latencies
    return _Slices(latency_figures(latencies), largest - before, gone_s, len(latencies), lost, repeated)
