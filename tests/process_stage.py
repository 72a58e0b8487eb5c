"""Runs and viewers of a server in another process, over connections that break with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import httpx2
import websockets
from live import ALL_AGENTS, SPEC
from raw_peer import RawHttp, raw_http
from server_process import ServerProcess


@contextlib.asynccontextmanager
async def requests_to(process: ServerProcess) -> AsyncIterator[httpx2.AsyncClient]:
    """A client for the local project's addresses, as the local user."""
    base_url = f"{process.url}/api/v1/projects/{process.project}"
    async with httpx2.AsyncClient(base_url=base_url, headers=process.headers, timeout=30) as http:
        yield http


async def start_run(process: ServerProcess, agents: Sequence[str] = ALL_AGENTS) -> str:
    """Put a document in place and start a run of these agents."""
    async with requests_to(process) as http:
        kept = await http.post("/documents", json={"path": "spec.md", "content": SPEC.decode()})
        assert kept.status_code == 201, kept.text
        run = await http.post("/agent-runs", json={"agents_selected": agents, "use_cache": False})
        assert run.status_code == 201, run.text
        return str(run.json()["id"])


async def run_at_work(process: ServerProcess) -> str:
    """A run of three agents, the first of which waits for its file."""
    run_id = await start_run(process)
    async with asyncio.timeout(20), stream_of(process, run_id) as stream:
        while (event := await stream.event()) is not None and event.data["payload"].get("progress_pct") != 10:
            pass
    return run_id


async def snapshot_of(process: ServerProcess, run_id: str) -> dict[str, Any]:
    """The run as REST shows it."""
    async with requests_to(process) as http:
        answer = await http.get(f"/agent-runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


async def artifacts_of(process: ServerProcess, run_id: str) -> list[str]:
    """The agents that left an artifact in the run, by name."""
    async with requests_to(process) as http:
        answer = await http.get("/artifacts", params={"run_id": run_id})
        return sorted(artifact["agent_type"] for artifact in answer.json()["artifacts"])


async def log_of(process: ServerProcess, run_id: str) -> list[dict[str, Any]]:
    """Every event of a run that has ended, as a viewer who comes then gets it."""
    seen: list[bytes] = []
    async with stream_of(process, run_id) as stream:
        await read_stream(stream, seen)
    return [frame_of(raw) for raw in seen]


def frame_of(raw: bytes) -> dict[str, Any]:
    """A server-sent event as a WebSocket would bring it."""
    head, data = raw.decode().strip().split("\n")
    return {"id": int(head.removeprefix("id: ")), **json.loads(data.removeprefix("data: "))}


def attempts_in(events: Iterable[dict[str, Any]]) -> list[int]:
    """The attempts that were told, in order, each once."""
    told = (event["payload"]["attempt"] for event in events if event["type"] == "running")
    return [attempt for attempt, _ in itertools.groupby(told)]


@contextlib.asynccontextmanager
async def stream_of(process: ServerProcess, run_id: str, cursor: int = 0) -> AsyncIterator[RawHttp]:
    """The run's SSE stream after ``cursor``."""
    headers = {**process.headers, "Last-Event-ID": str(cursor)}
    async with raw_http(process.url, f"/api/v1/events/agent-runs/{run_id}", headers) as stream:
        yield stream


@contextlib.asynccontextmanager
async def socket_of(
    process: ServerProcess, run_id: str, cursor: int = 0
) -> AsyncIterator[websockets.ClientConnection]:
    """A WebSocket connection that asked for the run's events after ``cursor``."""
    url = process.url.replace("http", "ws", 1) + "/api/v1/ws"
    async with websockets.connect(url, additional_headers=process.headers) as connection:
        await connection.send(json.dumps({"op": "subscribe", "run_id": run_id, "last_event_id": cursor}))
        yield connection


async def read_stream(stream: RawHttp, seen: list[bytes]) -> None:
    """Collect events as bytes until the stream ends or breaks."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while (event := await stream.event()) is not None:
            seen.append(event.raw)


async def read_socket(connection: websockets.ClientConnection, seen: list[str]) -> None:
    """Collect events as text until ``finished`` or the end."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            text = str(await connection.recv())
            frame = json.loads(text)
            if frame.get("op") == "finished":
                return
            if "id" in frame:
                seen.append(text)


async def until(condition: Any) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def payload(text: str) -> str:
    """The payload's JSON text as it stands in a frame or data line."""
    return text.partition('"payload":')[2][:-1]
