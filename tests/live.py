"""A real server in this process, and a model that the test drives: what most tests of the whole stand on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import websockets

from orchestrator.ports import ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from realtime.ports import User
from realtime.server import serve
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.wiring import LOCAL, Home, mint_token

ALL_AGENTS = ["ba_consultant", "qa_consultant", "automation_consultant"]
ANSWERS = {
    "ba_consultant": "# Coverage\n\n| id | requirement |\n|---|---|\n| R1 | The system MUST answer. |\n",
    "qa_consultant": (
        "# Checklist\n\n- [ ] It answers.\n\n```gherkin\nFeature: Answers\n  Scenario: A\n    Then it answers\n```\n"
    ),
    "automation_consultant": (
        "// Answers\nimport { test } from '@playwright/test';\ntest('It answers', async ({ page }) => {});\n"
    ),
}
BY_THEMSELVES = {None, "expiring", "finished", "run", "draining"}
"""The ``op`` of what a server sends unasked; an event has none."""
SPEC = b"# Answers\n\n- AC-1: The system MUST answer within 2 seconds.\n- `GET /api/answers` returns 200.\n"


class GatedModel:
    """A language model whose every answer waits for the test to feed it, agent by agent."""

    name = "gated"

    def __init__(self) -> None:
        self.asked: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._fed: dict[str, asyncio.Queue[ModelProgress | Exception | None]] = defaultdict(asyncio.Queue)

    def estimate(self, request: ModelRequest) -> int:
        return 100

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.asked[request.agent_type].set()
        while (fed := await self._fed[request.agent_type].get()) is not None:
            if isinstance(fed, Exception):
                raise fed
            yield fed
        yield ModelText(ANSWERS[request.agent_type])
        yield ModelUsage(100)

    def progress(self, agent_type: str, percent: int, label: str) -> None:
        """Let the agent come so far."""
        self._fed[agent_type].put_nowait(ModelProgress(percent, label))

    def finish(self, *agent_types: str) -> None:
        """Let the agents answer, each once."""
        for agent_type in agent_types:
            self._fed[agent_type].put_nowait(None)

    def fail(self, agent_type: str, error: Exception) -> None:
        """Let the agent fail, once."""
        self._fed[agent_type].put_nowait(error)


class LiveServer:
    """One running server with its local project and a document in it."""

    def __init__(
        self, url: str, home: Home, http: httpx2.AsyncClient, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self.home = home
        self.http = http
        self.ssl_context = ssl_context
        self.token = home.issue_token()
        self.headers = {"Authorization": f"Bearer {self.token}"}
        self.project = f"/api/v1/projects/{home.project_id}"
        self.ws_url = url.replace("http", "ws", 1) + "/api/v1/ws"

    async def start_run(self, agents: list[str] | None = None, **body: Any) -> str:
        """Start a run and return its id."""
        answer = await self.http.post(
            f"{self.project}/agent-runs", json={"agents_selected": agents or ALL_AGENTS, **body}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def snapshot(self, run_id: str) -> dict[str, Any]:
        """The run as REST shows it."""
        answer = await self.http.get(f"{self.project}/agent-runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def log(self, run_id: str) -> list[dict[str, Any]]:
        """The run's log as the store has it, in the shape of the WebSocket."""
        events = await self.home.store.runs.read_events(self.home.user.tenant, run_id, 0, 10_000)
        return [
            {"id": event.id, "type": event.type, "run_id": run_id, "payload": json.loads(event.payload)}
            for event in events
        ]

    @contextlib.asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[LiveSocket]:
        """A WebSocket connection of the local user, past its welcome."""
        options.setdefault("additional_headers", self.headers)
        options.setdefault("ssl", self.ssl_context)
        async with websockets.connect(self.ws_url, subprotocols=["runcast.v1"], **options) as connection:
            socket = LiveSocket(connection)
            assert (await socket.receive())["op"] == "welcome"
            yield socket

    @contextlib.asynccontextmanager
    async def events(self, run_id: str, cursor: int | str | None = None) -> AsyncIterator[AsyncIterator[Any]]:
        """The run's SSE stream, as parsed server-sent events; ``retry:`` alone is none."""
        headers = {} if cursor is None else {"Last-Event-ID": str(cursor)}
        async with self.http.sse(f"/api/v1/events/agent-runs/{run_id}", headers=headers) as source:
            yield (event async for event in source if event.data)

    async def watched(self, run_id: str) -> list[dict[str, Any]]:
        """Everything a viewer gets over SSE until the stream ends, heartbeats as well, without ids."""
        async with self.events(run_id) as events:
            return [json.loads(event.data) async for event in events]

    async def user_with_role(self, role: str | None, email: str = "somebody@localhost") -> str:
        """A token of another user of the same tenant, with ``role`` in the local project or none."""
        accounts = self.home.store.accounts
        record = await accounts.ensure_user(self.home.user.tenant, email)
        if role is not None:
            await accounts.set_member(self.home.user.tenant, self.home.project_id, record.id, role)
        return self.home.backend.tokens.issue(User(tenant=record.tenant, id=record.id, email=record.email), 3600)

    @property
    def tokens(self) -> Tokens:
        """What signs this server's tokens."""
        return self.home.backend.tokens


def without_clock(run: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without what depends on when it was read: that moment, and the ages at it."""
    steps = [{**step, "progress_age_s": None} for step in run["steps"]]
    return {**run, "steps": steps, "server_time": None, "heartbeat_age_s": None}


class LiveSocket:
    """A WebSocket connection that speaks JSON."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one frame."""
        await self.connection.send(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """The next frame that is no heartbeat."""
        while True:
            frame = dict(json.loads(await self.connection.recv()))
            if frame.get("type") != "heartbeat":
                return frame

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send one frame; the next control frame that comes and is not one of those that come by themselves."""
        await self.send(frame)
        while (answer := await self.receive()).get("op") in BY_THEMSELVES:
            pass
        return answer

    async def events_until(self, last_id: int | None = None) -> list[dict[str, Any]]:
        """Events up to the one with id ``last_id``, else up to ``finished``."""
        events: list[dict[str, Any]] = []
        while True:
            frame = await self.receive()
            if frame.get("op") == "finished":
                return events
            if "op" not in frame:
                events.append(frame)
                if frame["id"] == last_id:
                    return events


@contextlib.asynccontextmanager
async def live_server(
    home: Path,
    model: GatedModel | None = None,
    *,
    with_document: bool = True,
    ssl_context: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[LiveServer]:
    """A server on a free port over the directory ``home``, ended with all its connections at the end.

    With a ``database_url`` among the settings, its data is there, and the local user and project are made, too; with
    ``tls_cert`` and ``tls_key``, clients need an ``ssl_context`` that trusts it.
    """
    chosen = Settings(port=0, home=home, log_level="warning", **settings)
    if chosen.database_url is not None:
        await mint_token(chosen, LOCAL)
    stop = asyncio.Event()
    ready: asyncio.Future[tuple[str, Home]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(
            chosen,
            ready=lambda url, opened: ready.set_result((url, opened)),
            stop=stop,
            model=model,
        )
    )
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    url, opened = ready.result()
    try:
        headers = {"Authorization": f"Bearer {opened.issue_token()}"}
        verify = ssl_context or True
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30, verify=verify) as http:
            if with_document:
                await opened.import_document("docs/spec.md", SPEC)
            yield LiveServer(url, opened, http, ssl_context)
    finally:
        stop.set()
        await serving
