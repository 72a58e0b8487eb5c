"""A server that is told to stop under load: everybody is told, nothing is lost, and nobody takes that for a crash."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest
import websockets
from process_stage import log_of, socket_of, start_run, stream_of
from raw_peer import RawHttp
from server_process import ServerProcess, server_process

from orchestrator.records import RunRecord
from realtime.settings import Settings
from realtime.wiring import LOCAL
from realtime.wiring.opening import open_store

RUNS = 10
VIEWERS_OF_EACH = 10
"""Over WebSocket, and as many over SSE."""


async def told_by_socket(connection: websockets.ClientConnection) -> tuple[str | None, int | None]:
    """The last thing that a WebSocket viewer is told, and the code that it is closed with."""
    last = None
    try:
        while True:
            last = json.loads(await connection.recv()).get("op")
    except websockets.ConnectionClosed as closed:
        return last, None if closed.rcvd is None else closed.rcvd.code


async def told_by_stream(stream: RawHttp) -> bool:
    """Whether a viewer over SSE was told when to come back. Returns at the proper end of the stream."""
    told = False
    while (block := await stream.block()) is not None:
        told |= any(line.startswith(b"retry: ") for line in block.split(b"\n"))
    return told


async def until_at_work(process: ServerProcess, run_ids: list[str], attempt: int) -> None:
    """Return when the first step of each run is at its ``attempt``."""
    for run_id in run_ids:
        async with asyncio.timeout(30), stream_of(process, run_id) as stream:
            while (event := await stream.event()) is not None:
                if event.data["payload"].get("attempt") == attempt:
                    break


async def rows_of(home: Path, database_url: str | None, run_ids: list[str]) -> list[RunRecord]:
    """The runs as they stand in the store."""
    async with await open_store(Settings(home=home, database_url=database_url)) as store:
        rows = [await store.runs.get_run(LOCAL.tenant, run_id) for run_id in run_ids]
    return [row for row in rows if row is not None]


@pytest.mark.timeout(180)
async def test_sigterm_under_two_hundred_viewers_and_ten_runs_ends_in_five_seconds_and_costs_no_run(
    tmp_path: Path, database_url: str | None
) -> None:
    """All get 1012, or `retry:` and a clean end; after the restart all runs go on, and none counts a take-over."""
    async with server_process(tmp_path, database_url, max_runs_at_once=RUNS) as process:
        run_ids = [await start_run(process) for _ in range(RUNS)]
        await until_at_work(process, run_ids, 1)
        async with contextlib.AsyncExitStack() as stack:
            watched = run_ids * VIEWERS_OF_EACH
            sockets = [await stack.enter_async_context(socket_of(process, run_id)) for run_id in watched]
            streams = [await stack.enter_async_context(stream_of(process, run_id)) for run_id in watched]
            by_socket = [asyncio.ensure_future(told_by_socket(connection)) for connection in sockets]
            by_stream = [asyncio.ensure_future(told_by_stream(stream)) for stream in streams]
            began = time.monotonic()
            assert await process.terminate() == 0
            took_s = time.monotonic() - began
            assert set(await asyncio.gather(*by_socket)) == {("draining", 1012)}
            assert set(await asyncio.gather(*by_stream)) == {True}
        assert took_s < 5
        handed_back = await rows_of(tmp_path, database_url, run_ids)
        assert [(run.status, run.takeovers, run.heartbeat_age_s) for run in handed_back] == [
            ("running", 0, None)
        ] * RUNS

        await process.start()
        await until_at_work(process, run_ids, 2)
        assert [run.takeovers for run in await rows_of(tmp_path, database_url, run_ids)] == [0] * RUNS
        process.release("ba_consultant", "qa_consultant", "automation_consultant")
        async with asyncio.timeout(60):
            logs = [await log_of(process, run_id) for run_id in run_ids]
    for log in logs:
        assert [event["id"] for event in log] == list(range(1, len(log) + 1))
        assert log[-1]["payload"]["all_done"]
        assert "error" not in log[-1]["payload"]
