"""All kinds of work under the conditions that the goals are stated for."""

from __future__ import annotations

from dataclasses import dataclass, field

from delivery.catalogue import CATALOGUE, TRANSPORTS
from delivery.contests import Field, run_fanout, run_idle, run_latency, run_sparse, run_stalled, run_storm
from delivery.measuring import Measuring
from delivery.publishers import Load
from delivery.stalled import Stall


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything; rates in events a second."""

    servers: tuple[str, ...]
    transports: tuple[str, ...]
    """For everything but many viewers of one run at the slow rate, which is measured over all."""
    viewers: int
    slow: float
    fast: float
    fast_servers: tuple[str, ...]
    idle_servers: tuple[str, ...]
    seconds: float
    runs: int
    storm_viewers: int
    behind: int
    stall: Stall
    events: int
    settings: dict[str, object] = field(default_factory=dict)
    """Of our server where viewers stop reading, if not as it comes."""


FULL = Plan(
    servers=tuple(CATALOGUE),
    transports=TRANSPORTS,
    viewers=500,
    slow=20.0,
    fast=200.0,
    fast_servers=("direct", "floor", "nchan", "ws"),
    idle_servers=("direct", "nchan", "ws", "socketio", "quart"),
    seconds=5.0,
    runs=1000,
    storm_viewers=1000,
    behind=200,
    stall=Stall(viewers=500, stalled=50, rate=20.0, padding=4000, undisturbed_s=10),
    events=500,
)
QUICK = Plan(
    servers=("direct", "asgi", "floor", "quart"),
    transports=("ws",),
    viewers=20,
    slow=20.0,
    fast=200.0,
    fast_servers=(),
    idle_servers=("direct",),
    seconds=0.25,
    runs=20,
    storm_viewers=20,
    behind=200,
    stall=Stall(viewers=10, stalled=2, rate=20.0, padding=20_000, undisturbed_s=1),
    events=10,
    settings={"stuck_timeout_s": 0.5},
)


def measure_everything(measuring: Measuring, plan: Plan) -> None:
    """Measure what the plan says."""

    def field(*servers: str) -> Field:
        return Field(servers, plan.transports)

    run_fanout(measuring, plan.viewers, Load(1, plan.slow, plan.seconds))
    run_fanout(measuring, plan.viewers, Load(1, plan.fast, plan.seconds), field(*plan.fast_servers))
    run_sparse(measuring, Load(plan.runs, 1.0, plan.seconds), field("direct", "floor"))
    run_idle(measuring, plan.viewers, field(*plan.idle_servers))
    run_storm(measuring, plan.storm_viewers, plan.behind, field("direct", "socketio"))
    run_stalled(measuring, plan.stall, field("direct"), settings=plan.settings)
    run_latency(measuring, plan.events, field("direct", "nchan"))
