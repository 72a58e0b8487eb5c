"""What delivery is to reach, as ratios between contestants of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]


class Goal(NamedTuple):
    """A figure that must not be above a limit; the stretch is a lower one."""

    name: str
    figure: Callable[[Figures], float]
    limit: float
    stretch: float | None = None


class MissingFigureError(LookupError):
    """What a goal is about was not measured."""


class Figures:
    """Rows, by what is asked of them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def get(self, work: str, server: str, transport: str, name: str, **where: object) -> float:
        """The figure of one row.

        Raises:
            MissingFigureError: there is none.

        """
        wanted = {"work": work, "server": server, "transport": transport, **where}
        for row in self._rows:
            if all(row.get(key) == value for key, value in wanted.items()):
                return float(row[name])
        raise MissingFigureError(f"no row with {wanted}")

    def total(self, *names: str) -> float:
        """The sum of these figures over all of our rows."""
        ours = (row for row in self._rows if row["server"] in {"direct", "asgi"})
        return float(sum(row.get(name, 0) for row in ours for name in names))


CPU = "cpu_us_per_delivery"
BOTH = ("ws", "sse")


def goals(slow: float, fast: float) -> list[Goal]:
    """All goals, with the rates at which many viewers were measured."""
    return [
        *(goal for over in BOTH for goal in _fanout(over, slow, fast)),
        *(Goal(f"sparse {over}: CPU, times the floor", _ratio("sparse", over, CPU, "floor"), 2.0) for over in BOTH),
        Goal("idle ws: KB per viewer", _ours("idle", "ws", "rss_kb_per_viewer"), 35.0, 27.0),
        Goal("idle sse: KB per viewer", _ours("idle", "sse", "rss_kb_per_viewer"), 30.0, 27.0),
        *(_storm(over, source) for over in BOTH for source in ("memory", "log")),
        *(goal for over in BOTH for goal in _stalled(over)),
        *(Goal(f"latency {over}: p99 ms", _ours("latency", over, "p99_ms"), 10.0) for over in BOTH),
        Goal("events that a viewer of ours lost or got twice", lambda f: f.total("lost", "repeated"), 0.0),
    ]


def _fanout(over: str, slow: float, fast: float) -> list[Goal]:
    at_slow, at_fast = f"fanout {over}, {slow:g}/s", f"fanout {over}, {fast:g}/s"
    return [
        Goal(f"{at_slow}: CPU, times the floor", _ratio("fanout", over, CPU, "floor", rate=slow), 1.25),
        Goal(f"{at_slow}: CPU, times nchan", _ratio("fanout", over, CPU, "nchan", rate=slow), 1.2, 1.0),
        Goal(f"{at_slow}: CPU, times Quart with queues", _ratio("fanout", over, CPU, "quart", rate=slow), 0.2),
        Goal(f"{at_fast}: CPU, times nchan", _ratio("fanout", over, CPU, "nchan", rate=fast), 0.7),
        Goal(f"{at_fast}: p99 ms", _ours("fanout", over, "p99_ms", rate=fast), 100.0),
        Goal(f"{at_fast}: p99, times nchan", _ratio("fanout", over, "p99_ms", "nchan", rate=fast), 1.0),
    ]


def _storm(over: str, source: str) -> Goal:
    def figure(figures: Figures) -> float:
        mine = figures.get("storm", "direct", over, "wall_ms", source=source)
        return mine / figures.get("storm", "socketio", "ws", "wall_ms")

    return Goal(f"storm {over}, events in {source}: time, times Socket.IO's without replay", figure, 2.0, 1.0)


def _stalled(over: str) -> list[Goal]:
    return [
        Goal(f"stalled {over}: p99 of the others, times undisturbed", _ours("stalled", over, "p99_ratio"), 1.5),
        Goal(f"stalled {over}: KB per stalled viewer", _ours("stalled", over, "growth_kb_per_stalled"), 512.0),
        Goal(f"stalled {over}: s until the last is let go of", _ours("stalled", over, "gone_s"), 45.0),
    ]


def _ours(work: str, over: str, name: str, **where: object) -> Callable[[Figures], float]:
    return lambda figures: figures.get(work, "direct", over, name, **where)


def _ratio(work: str, over: str, name: str, other: str, **where: object) -> Callable[[Figures], float]:
    """Ours as a multiple of another server's."""
    return lambda figures: (
        figures.get(work, "direct", over, name, **where) / figures.get(work, other, over, name, **where)
    )


def judge(asked: Sequence[Goal], rows: Sequence[Row]) -> list[Row]:
    """Each goal with its figure and whether it is met; one that nothing was measured for has no figure."""
    figures = Figures(rows)
    return [_judge(goal, figures) for goal in asked]


def _judge(goal: Goal, figures: Figures) -> Row:
    try:
        figure = goal.figure(figures)
    except MissingFigureError:
        return {
            "goal": goal.name,
            "figure": None,
            "limit": goal.limit,
            "stretch": goal.stretch,
            "met": "not measured",
        }
    met = "no" if not figure <= goal.limit else "stretch" if goal.stretch and figure <= goal.stretch else "yes"
    return {"goal": goal.name, "figure": figure, "limit": goal.limit, "stretch": goal.stretch, "met": met}
