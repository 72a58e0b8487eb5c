"""A short torture: servers killed at random moments, under runs and viewers, behind a network that breaks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "scripts" / "adversity"
PLACES = (ROOT, ROOT / "tests", ROOT / "tests" / "realtime")
KILLS, RUNS, KINDS = 3, 2, 3
PROMISES = {
    "unfinished",
    "gaps",
    "repeats",
    "resets",
    "incomplete_viewers",
    "differing",
    "doubled_steps",
    "doubled_artifacts",
    "miscounted_tokens",
    "uncounted_tokens",
    "reservations",
}


async def start_torture(*arguments: object) -> asyncio.subprocess.Process:
    """The program, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PLACES))}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        *map(str, arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that have not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def exists(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(150)
async def test_runs_and_viewers_of_a_server_that_is_killed_again_and_again_lose_and_repeat_nothing(
    tmp_path: Path, database_url: str | None
) -> None:
    """Every run completes, every viewer holds ids 1 to n, and no step, artifact or token counts twice.

    SQLite has one server, PostgreSQL two, which are frozen as well.
    """
    file = tmp_path / "figures.json"
    place = () if database_url is None else ("--database", database_url, "--servers", 2)
    process = await start_torture("--seed", 7, "--kills", KILLS, "--runs", RUNS, "--json", file, *place)
    output, errors = await process.communicate()
    assert process.returncode == 0, (output + errors).decode()[-3000:]
    figures: dict[str, Any] = json.loads(file.read_bytes())
    assert {name: figures[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0)
    assert (figures["runs"], figures["kills"], figures["viewers"]) == (RUNS, KILLS, KINDS * RUNS)
    assert figures["events"] >= KINDS * RUNS * 10
    assert figures["connections"] > figures["viewers"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_torture_that_is_interrupted_ends_and_leaves_no_process_behind(how: signal.Signals) -> None:
    """Told to stop, it ends within seconds, and the server with it."""
    process = await start_torture("--kills", 100)
    async with asyncio.timeout(30):
        while not (servers := children_of(process.pid)):
            await asyncio.sleep(0.01)
    process.send_signal(how)
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode not in {0, None}
    assert not any(map(exists, servers))
