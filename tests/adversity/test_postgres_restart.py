"""PostgreSQL that goes away and comes back under a server with runs and viewers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import ALL_AGENTS, GatedModel, LiveServer, live_server
from postgres_server import OwnPostgresServer, own_server

RUNS = 3
POOL = 4

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runcast' AND datname = $1"


@pytest.fixture
def postgres_of_its_own() -> Iterator[OwnPostgresServer]:
    """A PostgreSQL that the test may stop and start."""
    with own_server() as running:
        yield running


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


async def _watch_socket(server: LiveServer, run_id: str, attached: asyncio.Event) -> list[dict[str, Any]]:
    async with server.socket() as socket:
        assert (await socket.ask({"op": "subscribe", "run_id": run_id}))["op"] == "subscribed"
        attached.set()
        return await socket.events_until()


async def _watch_stream(server: LiveServer, run_id: str, attached: asyncio.Event) -> list[dict[str, Any]]:
    seen = []
    async with server.events(run_id) as events:
        async for event in events:
            attached.set()
            frame = json.loads(event.data)
            if frame["type"] != "heartbeat":
                seen.append({**frame, "id": int(event.id)})
    return seen


@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.timeout(120)
async def test_postgres_restarted_under_runs_and_viewers_loses_and_repeats_nothing(
    tmp_path: Path, model: GatedModel, postgres_of_its_own: OwnPostgresServer, mode: str
) -> None:
    """Health tells the truth; then the runs go on, viewers see contiguous ids, the pool has its old size."""
    postgres = postgres_of_its_own
    with postgres.database() as url:
        settings = {"database_url": url, "database_pool_size": POOL, "retry_delays_s": (0.0, 0.0, 0.0)}
        async with live_server(tmp_path / "home", model, **settings) as server:
            runs = [await server.start_run() for _ in range(RUNS)]
            attached = [asyncio.Event() for _ in range(2 * RUNS)]
            viewers = [
                asyncio.ensure_future(watch(server, run_id, attached[2 * index + offset]))
                for index, run_id in enumerate(runs)
                for offset, watch in enumerate((_watch_socket, _watch_stream))
            ]
            await asyncio.gather(*(event.wait() for event in attached))
            await model.asked["ba_consultant"].wait()

            await asyncio.to_thread(postgres.stop, mode)
            await _until(lambda: _status_is(server, "/readyz", 503))
            assert await _status_is(server, "/healthz", 200)
            refused = await server.http.get(f"{server.project}/agent-runs/{runs[0]}")
            assert (refused.status_code, refused.json()["error"]) == (503, "UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) > 0
            for percent in (40, 60):  # what cannot be saved now
                model.progress("ba_consultant", percent, f"Half way, {percent}")
            await asyncio.to_thread(postgres.start)

            await _until(lambda: _status_is(server, "/readyz", 200))
            for agent in ALL_AGENTS:
                model.finish(*[agent] * (4 * RUNS))
            async with asyncio.timeout(60):
                seen = await asyncio.gather(*viewers)
            for index, run_id in enumerate(runs):
                log = await server.log(run_id)
                assert [event["id"] for event in log] == list(range(1, len(log) + 1))
                assert seen[2 * index] == log
                assert seen[2 * index + 1] == log
                assert (await server.snapshot(run_id))["status"] == "completed"
                completed = [event for event in log if "artifact_id" in event["payload"]]
                assert [event["payload"]["agent_type"] for event in completed] == ALL_AGENTS

            answers = await asyncio.gather(*(server.snapshot(runs[0]) for _ in range(5 * POOL)))
            assert len(answers) == 5 * POOL
            (row,) = await asyncio.to_thread(postgres.run, CONNECTIONS, url.rsplit("/", 1)[1])
            assert 1 <= row["count"] <= POOL + 1  # with the one that holds the server's lock


async def _status_is(server: LiveServer, path: str, status: int) -> bool:
    return (await server.http.get(path)).status_code == status
