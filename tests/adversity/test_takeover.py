"""Workers that die or freeze: their runs are taken over, given up or cancelled, and they themselves write no more."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from live import ALL_AGENTS
from process_stage import (
    artifacts_of,
    attempts_in,
    log_of,
    read_stream,
    requests_to,
    run_at_work,
    snapshot_of,
    start_run,
    stream_of,
    until,
)
from server_process import ServerProcess, server_process

from orchestrator.runner import MOST_TAKEOVERS

LEASE_S = 1.0


@contextlib.asynccontextmanager
async def two_servers(folder: Path, database_url: str) -> AsyncIterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers of one database, each a process with a home of its own and room for one run."""
    settings = {"secret": secrets.token_hex(32), "lease_s": LEASE_S, "max_runs_at_once": 1}
    async with (
        server_process(folder / "one", database_url, gates=folder, **settings) as one,
        server_process(folder / "two", database_url, gates=folder, **settings) as two,
    ):
        yield one, two


async def begin_on(worker: ServerProcess, other: ServerProcess) -> str:
    """A run whose first agent is at work in ``worker``, and not in the other server."""
    other.freeze()
    run_id = await run_at_work(worker)
    other.thaw()
    return run_id


@pytest.mark.timeout(120)
async def test_step_that_kills_its_worker_each_time_ends_interrupted(
    tmp_path: Path, database_url: str | None
) -> None:
    """After three take-overs the fourth gives the run up; that server stays, and other runs are as always."""
    async with server_process(tmp_path, database_url, lease_s=LEASE_S) as process:
        process.release("ba_consultant")
        process.poison("qa_consultant")
        run_id = await start_run(process)
        for _ in range(1 + MOST_TAKEOVERS):
            async with asyncio.timeout(20):
                assert await process.died() == -9
            await process.start()
        seen: list[bytes] = []
        async with asyncio.timeout(20), stream_of(process, run_id) as stream:
            await read_stream(stream, seen)
        log = await log_of(process, run_id)
        snapshot = await snapshot_of(process, run_id)
        artifacts = await artifacts_of(process, run_id)
        other = await start_run(process, ["ba_consultant"])
        assert (await log_of(process, other))[-1]["payload"]["all_done"]
        assert (await snapshot_of(process, other))["status"] == "completed"
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert (snapshot["status"], snapshot["error_code"]) == ("failed", "INTERRUPTED")
    assert "4 times" in snapshot["error_message"]
    assert [step["status"] for step in snapshot["steps"]] == ["completed", "cancelled", "cancelled"]
    assert attempts_in(event for event in log if event["payload"].get("agent_type") == "qa_consultant") == [
        1,
        2,
        3,
        4,
    ]
    assert log[-1]["payload"]["error_code"] == "INTERRUPTED"
    assert artifacts == ["ba_consultant"]


@pytest.mark.timeout(120)
async def test_worker_frozen_past_its_lease_finds_its_run_ended_and_writes_nothing(
    tmp_path: Path, postgres_url: str
) -> None:
    """The other server completes the run; the frozen one, continued, leaves it as it is, and carries out the next."""
    async with two_servers(tmp_path, postgres_url) as (one, two):
        run_id = await begin_on(one, two)
        seen_at_one: list[bytes] = []
        async with stream_of(one, run_id) as stream:
            one.freeze()
            one.release(*ALL_AGENTS)
            async with asyncio.timeout(30):
                log = await log_of(two, run_id)
            snapshot = await snapshot_of(two, run_id)
            artifacts = await artifacts_of(two, run_id)
            assert await two.terminate() == 0
            one.thaw()
            async with asyncio.timeout(30):
                await read_stream(stream, seen_at_one)
        next_run = await start_run(one)  # its only place is free again once it has let go of the first run
        async with asyncio.timeout(30):
            next_log = await log_of(one, next_run)
        assert await log_of(one, run_id) == log
        assert await artifacts_of(one, run_id) == artifacts == sorted(ALL_AGENTS)
        assert _lasting(await snapshot_of(one, run_id)) == _lasting(snapshot)
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert snapshot["status"] == "completed"
    assert len(seen_at_one) == len(log)
    assert attempts_in(log) == [1, 2, 1]
    assert next_log[-1]["payload"]["all_done"]
    assert "error" not in next_log[-1]["payload"]


@pytest.mark.timeout(120)
async def test_run_of_a_frozen_worker_is_cancelled_within_two_seconds(tmp_path: Path, postgres_url: str) -> None:
    """Viewers elsewhere have the terminal event in time; the frozen worker, continued, writes nothing after it."""
    async with two_servers(tmp_path, postgres_url) as (one, two):
        run_id = await begin_on(one, two)
        seen: list[bytes] = []
        async with stream_of(two, run_id) as stream:
            reading = asyncio.ensure_future(read_stream(stream, seen))
            await until(lambda: len(seen) >= 5)
            one.freeze()
            asked = time.monotonic()
            async with requests_to(two) as http:
                answer = await http.post(f"/agent-runs/{run_id}/cancel")
            assert answer.status_code == 200, answer.text
            await reading
            took_s = time.monotonic() - asked
        one.release(*ALL_AGENTS)
        log = await log_of(two, run_id)
        assert await two.terminate() == 0
        one.thaw()
        next_run = await start_run(one)
        async with asyncio.timeout(30):
            assert (await log_of(one, next_run))[-1]["payload"]["all_done"]
        assert await log_of(one, run_id) == log
        assert await artifacts_of(one, run_id) == []
        snapshot = await snapshot_of(one, run_id)
    assert took_s < 2
    assert snapshot["status"] == "cancelled"
    assert [step["status"] for step in snapshot["steps"]] == ["cancelled"] * 3
    assert log[-1]["payload"]["error_code"] == "CANCELLED"
    assert len(seen) == len(log)


def _lasting(snapshot: dict[str, object]) -> dict[str, object]:
    """What does not change with the moment of asking."""
    return {name: value for name, value in snapshot.items() if name != "server_time" and not name.endswith("_age_s")}
