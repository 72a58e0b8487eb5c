"""Clocks that jump: leases go by the database's clock, waits and durations by clocks that never do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live import ALL_AGENTS, GatedModel, live_server
from postgres_server import PostgresServer
from process_stage import attempts_in, log_of, read_stream, run_at_work, start_run, stream_of
from server_process import ServerProcess, server_process

from orchestrator.store import sqlite_driver

HOUR_S = 3600
LONG_LEASE_S = 600.0
SHORT_LEASE_S = 1.0

SHIFTED_CLOCK = """
    CREATE SCHEMA jumpy;
    CREATE TABLE jumpy.shift (seconds integer NOT NULL);
    INSERT INTO jumpy.shift VALUES (0);
    CREATE FUNCTION jumpy.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$
        SELECT pg_catalog.clock_timestamp() + seconds * interval '1 second' FROM jumpy.shift
    $$;
"""
"""Found before PostgreSQL's own: the clock of one database, whoever asks, in the test's hands."""

LEASE = """
    SELECT extract(epoch FROM lease_until::timestamptz - jumpy.clock_timestamp())::float8 AS left_s
    FROM tenant_demo.agent_runs WHERE id = $1
"""


class DatabaseClock:
    """The clock of one PostgreSQL database."""

    def __init__(self, postgres: PostgresServer, url: str) -> None:
        self._postgres = postgres
        self._name = url.rpartition("/")[2]
        for statement in SHIFTED_CLOCK.split(";\n"):
            if statement.strip():
                self.run(statement)
        self.run(f"ALTER DATABASE {self._name} SET search_path = jumpy, pg_catalog, public")

    def run(self, sql: str, *values: object) -> list[Any]:
        return self._postgres.run(sql, *values, database=self._name)

    async def jump_to(self, seconds: int) -> None:
        """From now on it is so far from the true time."""
        await asyncio.to_thread(self.run, "UPDATE jumpy.shift SET seconds = $1", seconds)

    async def lease_left_s(self, run_id: str) -> float:
        """How long the run's claim still lasts by this clock."""
        (row,) = await asyncio.to_thread(self.run, LEASE, run_id)
        return float(row["left_s"])


@pytest.fixture
def clock(postgres: PostgresServer, postgres_url: str) -> DatabaseClock:
    """The clock of the test's database."""
    return DatabaseClock(postgres, postgres_url)


@contextmanager
def sqlite_clock(seconds: int) -> Iterator[None]:
    """Every SQLite file of this process is so far from the true time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_driver, "NOW", f"strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{seconds:+} seconds')")
        sqlite_driver._render.cache_clear()
        yield
    sqlite_driver._render.cache_clear()


def two_processes(folder: Path, url: str, lease_s: float) -> tuple[Any, Any]:
    """Two servers of one database, to be entered one after the other."""
    settings = {"secret": secrets.token_hex(32), "lease_s": lease_s}
    return (
        server_process(folder / "one", url, gates=folder, **settings),
        server_process(folder / "two", url, gates=folder, **settings),
    )


async def check_completes(process: ServerProcess, run_id: str, attempts: list[int]) -> None:
    """The run ends well on this server, with contiguous ids and each step complete once."""
    seen: list[bytes] = []
    async with asyncio.timeout(30), stream_of(process, run_id) as stream:
        await read_stream(stream, seen)
    log = await log_of(process, run_id)
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert len(seen) == len(log)
    completed = [event["payload"]["agent_type"] for event in log if "artifact_id" in event["payload"]]
    assert completed == ALL_AGENTS
    assert log[-1]["payload"].get("error") is None
    assert attempts_in(log) == attempts


async def test_server_of_sqlite_notices_no_jump_of_the_clock(tmp_path: Path, model: GatedModel) -> None:
    """An hour forward, then back, in the middle of a run: times in events jump, attempts and durations do not."""
    async with live_server(tmp_path / "home", model, lease_s=SHORT_LEASE_S) as server:
        run_id = await server.start_run()
        async with server.socket() as viewer:
            await viewer.ask({"op": "subscribe", "run_id": run_id})
            await model.asked["ba_consultant"].wait()
            with sqlite_clock(+HOUR_S):
                model.finish("ba_consultant")
                await model.asked["qa_consultant"].wait()
            with sqlite_clock(-HOUR_S):
                model.finish("qa_consultant")
                await model.asked["automation_consultant"].wait()
            model.finish("automation_consultant")
            async with asyncio.timeout(20):
                seen = await viewer.events_until()
        log = await server.log(run_id)
    assert seen == log
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert attempts_in(log) == [1]
    completed = [event["payload"] for event in log if "artifact_id" in event["payload"]]
    assert [payload["agent_type"] for payload in completed] == ALL_AGENTS
    assert all(payload["duration_ms"] < 60_000 for payload in completed)
    ba, qa, automation = (payload["at"] for payload in completed)
    assert qa < automation < ba


@pytest.mark.timeout(90)
async def test_clock_that_jumps_forward_lets_a_claim_lapse_and_the_run_completes_once(
    tmp_path: Path, postgres_url: str, clock: DatabaseClock
) -> None:
    """A worker that cannot renew in time loses its run to another, long before its lease is over in truth."""
    first, second = two_processes(tmp_path, postgres_url, LONG_LEASE_S)
    async with first as one:
        run_id = await run_at_work(one)
        async with second as two:
            one.freeze()
            await clock.jump_to(+HOUR_S)
            one.release(*ALL_AGENTS)
            await check_completes(two, run_id, [1, 2, 1])
            log = await log_of(two, run_id)
            one.thaw()
            await check_completes(one, await start_run(one), [1])
            assert await log_of(one, run_id) == log


@pytest.mark.timeout(90)
async def test_clock_that_jumps_back_is_followed_by_the_next_renewal(
    tmp_path: Path, postgres_url: str, clock: DatabaseClock
) -> None:
    """A worker that lives goes on; when it dies afterwards, its run is taken over as soon as ever."""
    first, second = two_processes(tmp_path, postgres_url, SHORT_LEASE_S)
    async with first as one:
        run_id = await run_at_work(one)
        await clock.jump_to(-HOUR_S)
        async with asyncio.timeout(20):
            while await clock.lease_left_s(run_id) > SHORT_LEASE_S:
                await asyncio.sleep(0.05)
        async with second as two:
            await one.kill()
            two.release(*ALL_AGENTS)
            await check_completes(two, run_id, [1, 2, 1])


@pytest.mark.timeout(90)
async def test_claim_of_a_worker_that_died_before_the_clock_jumped_back_lasts_until_that_time_comes(
    tmp_path: Path, postgres_url: str, clock: DatabaseClock
) -> None:
    """Nobody renews it to the new time, so its run waits for the jump to be over, or for somebody to cancel it."""
    first, second = two_processes(tmp_path, postgres_url, SHORT_LEASE_S)
    async with first as one:
        run_id = await run_at_work(one)
        one.freeze()
        await clock.jump_to(-HOUR_S)
        await one.kill()
        async with second as two:
            assert await clock.lease_left_s(run_id) > HOUR_S - 60
            await clock.jump_to(0)
            two.release(*ALL_AGENTS)
            await check_completes(two, run_id, [1, 2, 1])
