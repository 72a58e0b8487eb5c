"""The benchmarks of delivery: that they run, count what is there, and find out what is not as it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "scripts" / "benchmarks"
PLACES = (
    ROOT,
    *(ROOT / "tests" / name for name in ("", "contracts", "realtime", "browser")),
    BENCHMARKS,
    BENCHMARKS / "servers",
)
VIEWERS, EVENTS = 20, 5
FANOUT_KEYS = {
    "server",
    "transport",
    "viewers",
    "rate",
    "deliveries",
    "cpu_us_per_delivery",
    "p50_ms",
    "p99_ms",
    "rss_kb_per_viewer",
    "lost",
    "repeated",
    "generator_us",
}
FAULTY_VIEWERS, FAULTY_EVENTS = 10, 6


def run_program(*arguments: str | Path) -> str:
    """What the program prints; it has to end by itself, without an error."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PLACES))}
    command = [sys.executable, *map(str, arguments)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


@pytest.mark.timeout(180)
def test_quick_benchmark_of_delivery_delivers_every_event_once(tmp_path: Path) -> None:
    """Every kind of work runs; every viewer of every server got every event, and the rows have every figure."""
    file = tmp_path / "figures.json"
    run_program(BENCHMARKS, "delivery", "--quick", "--json", file)
    figures: dict[str, Any] = json.loads(file.read_bytes())
    rows = figures["rows"]
    assert {row["work"] for row in rows} == {"fanout", "sparse", "idle", "storm", "stalled", "latency"}
    fanout = [row for row in rows if row["work"] == "fanout" and row["rate"] == 20]
    assert {(row["server"], row["transport"]) for row in fanout} == {
        (server, transport) for server in ("direct", "asgi", "floor", "quart") for transport in ("ws", "sse")
    }
    for row in fanout:
        assert row.keys() >= FANOUT_KEYS
        assert row["deliveries"] == VIEWERS * EVENTS, row
    assert [row for row in rows if row.get("lost") or row.get("repeated")] == []
    assert figures["seed"] == 1
    assert figures["versions"].keys() == {"direct", "asgi", "floor", "quart"}
    assert figures["goals"]


@pytest.mark.parametrize("transport", ["ws", "sse"])
def test_generator_counts_what_single_viewers_lost_and_got_again(transport: str) -> None:
    """Bytes unlike other viewers' are parsed: a ping or a cut is no fault, an id that is lost or repeated is."""
    figures = json.loads(
        run_program(ROOT / "tests" / "generator_check.py", transport, str(FAULTY_VIEWERS), str(FAULTY_EVENTS))
    )
    assert (figures["lost"], figures["repeated"]) == (FAULTY_VIEWERS // 5, FAULTY_VIEWERS // 5)
    assert figures["deliveries"] == FAULTY_VIEWERS * FAULTY_EVENTS
