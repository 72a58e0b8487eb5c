"""PostgreSQL gone for longer than claims last, under several servers: nobody takes that for somebody's death."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import httpx2
import pytest
from live import ALL_AGENTS
from postgres_server import own_server
from process_stage import artifacts_of, attempts_in, frame_of, log_of, read_stream, start_run, stream_of, until
from server_process import ServerProcess, server_process

OUTAGE_S = float(os.environ.get("RUNCAST_TEST_OUTAGE_S", "3"))
LEASE_S = 1.0


async def ready(process: ServerProcess) -> None:
    """Return when the server says that it can work."""
    async with httpx2.AsyncClient(base_url=process.url) as http, asyncio.timeout(30):
        while (await http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120 + 2 * OUTAGE_S)
async def test_outage_longer_than_leases_costs_no_attempt_and_no_viewer(tmp_path: Path) -> None:
    """Each worker goes on with its own run when the database is back; viewers stayed connected on both servers."""
    settings = {"secret": secrets.token_hex(32), "lease_s": LEASE_S}
    with own_server() as postgres, postgres.database() as url:
        async with (
            server_process(tmp_path / "one", url, gates=tmp_path, **settings) as one,
            server_process(tmp_path / "two", url, gates=tmp_path, **settings) as two,
        ):
            runs = [await start_run(process) for process in (one, two)]
            seen: list[list[bytes]] = [[], [], [], []]
            async with (
                stream_of(one, runs[0]) as first,
                stream_of(one, runs[1]) as second,
                stream_of(two, runs[0]) as third,
                stream_of(two, runs[1]) as fourth,
            ):
                viewers = [
                    asyncio.ensure_future(read_stream(stream, events))
                    for stream, events in zip((first, second, third, fourth), seen, strict=True)
                ]
                await until(lambda: all(len(events) >= 5 for events in seen))
                await asyncio.to_thread(postgres.stop, "immediate")
                await asyncio.sleep(OUTAGE_S)
                await asyncio.to_thread(postgres.start)
                await asyncio.gather(ready(one), ready(two))
                one.release(*ALL_AGENTS)
                async with asyncio.timeout(60):
                    await asyncio.gather(*viewers)
            logs = [await log_of(one, run_id) for run_id in runs]
            artifacts = [await artifacts_of(two, run_id) for run_id in runs]
    for log in logs:
        assert [event["id"] for event in log] == list(range(1, len(log) + 1))
        assert attempts_in(log) == [1]
        assert "error" not in log[-1]["payload"]
    assert artifacts == [sorted(ALL_AGENTS)] * 2
    assert [[frame_of(raw) for raw in events] for events in seen] == [*logs, *logs]
