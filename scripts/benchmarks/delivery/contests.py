"""Who takes part in which kind of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from delivery import works
from delivery.catalogue import CATALOGUE, TRANSPORTS
from delivery.measuring import Measuring
from delivery.publishers import Load
from delivery.rounds import Contestant
from delivery.stalled import Stall, measure_stalled

OURS = ("direct", "asgi")
ONE_FOR_ALL = ("socketio", "python-socketio")
"""Servers whose viewers all get everything."""
PER_RUN = tuple(name for name in CATALOGUE if name not in ONE_FOR_ALL)
OTHERS = tuple(name for name in CATALOGUE if name not in OURS)


class Field(NamedTuple):
    """Who of those that were asked for takes part, and over what."""

    servers: Sequence[str] = tuple(CATALOGUE)
    transports: Sequence[str] = TRANSPORTS

    def among(self, names: Sequence[str]) -> Field:
        """Those of this field that have one of these names."""
        return Field([name for name in self.servers if name in names], self.transports)


ALL = Field()


def run_fanout(measuring: Measuring, viewers: int, load: Load, field: Field = ALL) -> None:
    """Many viewers of one run."""
    contestants = measuring.contestants(
        lambda server, over: works.measure_fanout(server, over, viewers, load), *field
    )
    measuring.run("fanout", contestants)


def run_sparse(measuring: Measuring, load: Load, field: Field = ALL) -> None:
    """One viewer in each of many runs."""
    contestants = measuring.contestants(lambda server, over: works.measure_sparse(server, over, load), *field)
    measuring.run("sparse", contestants)


def run_idle(measuring: Measuring, viewers: int, field: Field = ALL) -> None:
    """Viewers to whom nothing is sent."""
    contestants = measuring.contestants(lambda server, over: works.measure_idle(server, over, viewers), *field)
    measuring.run("idle", contestants)


def run_storm(measuring: Measuring, viewers: int, behind: int, field: Field = ALL) -> None:
    """Everybody connects at once. Ours have to catch up, from memory and from the log; the others only accept."""

    def ours(in_memory: bool) -> list[Contestant]:
        return measuring.contestants(
            lambda server, over: works.measure_storm(server, over, viewers, behind, in_memory),
            *field.among(OURS),
            source="memory" if in_memory else "log",
        )

    others = measuring.contestants(
        lambda server, over: works.measure_storm(server, over, viewers, 0, in_memory=False),
        *field.among(OTHERS),
        source="-",
    )
    measuring.run("storm", [*ours(in_memory=True), *ours(in_memory=False), *others])


def run_stalled(measuring: Measuring, stall: Stall, field: Field = ALL, **options: object) -> None:
    """Some viewers stop reading."""
    contestants = measuring.contestants(lambda server, over: measure_stalled(server, over, stall, **options), *field)
    measuring.run("stalled", contestants)


def run_latency(measuring: Measuring, events: int, field: Field = ALL) -> None:
    """One event at a time."""
    contestants = measuring.contestants(lambda server, over: works.measure_latency(server, over, events), *field)
    measuring.run("latency", contestants)
