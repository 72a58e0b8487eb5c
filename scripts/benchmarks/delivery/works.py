"""The kinds of work that are measured, each as one round of one server in a fresh process."""

from __future__ import annotations

from typing import Any

from delivery.catalogue import Server
from delivery.figures import deliver_measured, latency_figures
from delivery.publishers import Load
from delivery.session import session

IDLE_SETTLE_S = 2.0
ALONE_RATE = 40.0
"""Events a second where each is alone: far enough apart that none is joined with another."""
CATCH_UP_S = 60.0


def measure_fanout(server: Server, transport: str, viewers: int, load: Load) -> dict[str, Any]:
    """Many viewers of one run."""
    with session(server, transport, runs=1) as running:
        empty_kb = running.rss_kb
        running.connect(viewers)
        running.settle()
        full_kb = running.rss_kb
        figures = deliver_measured(running, load)
        return {
            "viewers": viewers,
            "rate": load.rate,
            **figures,
            "rss_kb_per_viewer": (full_kb - empty_kb) / viewers,
            "versions": running.versions,
        }


def measure_sparse(server: Server, transport: str, load: Load) -> dict[str, Any]:
    """One viewer in each of many runs; events come one by one, spread over all the time."""
    with session(server, transport, runs=load.runs) as running:
        running.connect(load.runs, runs=load.runs)
        running.settle()
        figures = deliver_measured(running, load)
        return {"viewers": load.runs, "rate": load.rate, **figures, "versions": running.versions}


def measure_idle(server: Server, transport: str, viewers: int) -> dict[str, Any]:
    """Viewers that watch a run in which nothing happens. The server is not asked to collect garbage."""
    with session(server, transport, runs=1) as running:
        empty_kb = running.rss_kb
        running.connect(viewers)
        running.settle(IDLE_SETTLE_S)
        return {
            "viewers": viewers,
            "rss_kb_per_viewer": (running.rss_kb - empty_kb) / viewers,
            "rss_mb_before": empty_kb / 1024,
            "versions": running.versions,
        }


def measure_storm(server: Server, transport: str, viewers: int, behind: int, in_memory: bool) -> dict[str, Any]:
    """Everybody connects at once, each ``behind`` events behind; those are in the server's memory or only in its log.

    The time of a viewer is from its ``connect()`` until it has the last event, or, where ``behind`` is 0, until it
    watches.
    """
    with session(server, transport, runs=1, saved=behind, published=in_memory) as running:
        cursor = running.head - behind
        running.tally.clear()
        cpu = running.cpu_ns
        made = running.connect(viewers, cursor=cursor, at_once=viewers)
        running.run_until(lambda: len(running.tally.latencies) >= viewers * behind, CATCH_UP_S)
        cpu = running.cpu_ns - cpu
        lost, repeated = running.missed(made, cursor + 1, behind)
        ends = [viewer.stream.last_ns if behind else viewer.ready_ns for viewer in made]
        own = latency_figures([end - viewer.began_ns for end, viewer in zip(ends, made, strict=True)])
        return {
            "viewers": viewers,
            "behind": behind,
            "deliveries": len(running.tally.latencies),
            "wall_ms": (max(ends) - min(viewer.began_ns for viewer in made)) / 1e6,
            **own,
            "cpu_us_per_viewer": cpu / 1000 / viewers,
            "lost": lost,
            "repeated": repeated,
            "versions": running.versions,
        }


def measure_latency(server: Server, transport: str, events: int) -> dict[str, Any]:
    """One viewer, and one event at a time."""
    with session(server, transport, runs=1) as running:
        running.connect(1)
        running.settle()
        figures = deliver_measured(running, Load(1, ALONE_RATE, events / ALONE_RATE))
        return {"viewers": 1, "rate": ALONE_RATE, **figures, "versions": running.versions}
