"""Draw figures as bars. A program: ``plot.py FILE.svg``, rows as JSON on stdin; it runs in the peers' environment."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "runcast"

PANELS = {
    "fanout": ("cpu_us_per_delivery", "server CPU per delivered event, µs"),
    "sparse": ("cpu_us_per_delivery", "server CPU per event, µs"),
    "idle": ("rss_kb_per_viewer", "memory per idle viewer, KB"),
    "storm": ("wall_ms", "until everybody has everything, ms"),
    "stalled": ("p99_ms", "p99 beside stalled viewers, ms"),
    "latency": ("p99_ms", "p99 of one event at a time, ms"),
}
OURS = frozenset({"direct", "asgi"})
COLOURS = {True: "#2a6fb0", False: "#b8bec6"}


def main() -> None:
    """Draw a panel for each kind of work, transport and condition among the rows."""
    rows: list[dict[str, Any]] = json.load(sys.stdin)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        conditions = f"{row['viewers']} viewers" + (f", {row['rate']:g} events/s" if "rate" in row else "")
        groups.setdefault(f"{row['transport']}: {PANELS[row['work']][1]}\n{conditions}", []).append(row)
    figure, panels = pyplot.subplots(
        len(groups), 1, figsize=(8, 2.4 * len(groups)), squeeze=False, layout="constrained"
    )
    for (title, group), panel in zip(groups.items(), panels[:, 0], strict=True):
        names = [f"{row['server']} {row.get('source', '')}".strip() for row in group]
        figures = [row[PANELS[row["work"]][0]] for row in group]
        values = [figure if math.isfinite(figure) else 0.0 for figure in figures]
        bars = panel.barh(names, values, color=[COLOURS[row["server"] in OURS] for row in group])
        panel.bar_label(bars, fmt="%.3g", padding=3)
        panel.margins(x=0.12)
        panel.set_title(title, fontsize=9, loc="left")
        panel.invert_yaxis()
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
