"""``RunClient``: a Runcast server for Python programs. Requests over HTTP, runs watched live over WebSocket or SSE.

::

    async with RunClient("http://127.0.0.1:8000", token) as client:
        run = await client.start_run(["ba_consultant"])
        async for event in client.watch(run.id):
            print(event.id, event.type, event.payload)
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
import msgspec

from realtime.client.errors import (
    ConnectionLostError,
    ForbiddenError,
    NotAuthenticatedError,
    RunClientError,
    RunNotFoundError,
    ServerRefusedError,
    refusal_of_response,
)
from realtime.client.items import ConnectionState, Position, Reset, RunEvent, Transport
from realtime.client.site import Site
from realtime.client.watch import OnConnection, Watch, WatchItem, WatchOptions
from realtime.ports import AgentInfo, ArtifactInfo, DocumentInfo, ProjectInfo, UsageInfo
from realtime.snapshot import RunSnapshot

__all__ = [
    "ConnectionLostError",
    "ConnectionState",
    "ForbiddenError",
    "NotAuthenticatedError",
    "Reset",
    "RunClient",
    "RunClientError",
    "RunEvent",
    "RunNotFoundError",
    "ServerRefusedError",
    "Transport",
    "Watch",
    "WatchItem",
]

_T = TypeVar("_T")


class _Agents(msgspec.Struct):
    agents: list[AgentInfo]


class _Projects(msgspec.Struct):
    projects: list[ProjectInfo]


class _Documents(msgspec.Struct):
    documents: list[DocumentInfo]


class _Artifacts(msgspec.Struct):
    artifacts: list[ArtifactInfo]


class RunClient:
    """One server as seen by the holder of ``token``. Use it as an asynchronous context manager, or call `aclose`.

    Where a ``project_id`` may be left out, the first of `projects` is meant. Every request raises
    `ServerRefusedError` (or one of its kinds) for an answer that is no, `ConnectionLostError` where there is none.
    ``token`` may be set anew at any time; new requests and connections use it.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        transports: Sequence[Transport] = (Transport.WEBSOCKET, Transport.SSE),
        silence_s: float = 45.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """``url`` is where the server is, with a path where it lives under one.

        ``transports``: how to watch, in order of preference. ``silence_s``: a watch takes a connection without a
        byte for so long as lost, unless the server tells its own heartbeat. ``ssl_context``: whom to trust over
        https; None: the authorities in the file that ``SSL_CERT_FILE`` names, else those of the system.

        Raises:
            ValueError: ``url`` is not of HTTP.
            RunClientError: what ``SSL_CERT_FILE`` names cannot be read.

        """
        self._site = Site(url, token, ssl_context)
        self._transports = tuple(transports)
        self._silence_s = silence_s

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        return self._site.url

    @property
    def token(self) -> str | None:
        """What says who asks."""
        return self._site.token

    @token.setter
    def token(self, token: str | None) -> None:
        self._site.token = token

    def watch(
        self,
        run_id: str,
        last_event_id: int | None = None,
        *,
        client_id: str | None = None,
        max_wait_s: float | None = None,
        on_connection: OnConnection | None = None,
    ) -> Watch:
        """The events of a run after ``last_event_id``, live, each once and in order, until its terminal event.

        Connections that break are made again by themselves, from the last event that was yielded. With a
        ``client_id`` and no ``last_event_id`` it starts after what that client has handled: over WebSocket an event
        is acknowledged when the next one is asked for. Otherwise it starts at the first event.

        A `Reset` among the events says that the cursor could not be served and brings the state as it is now.
        ``on_connection`` is told how the connection stands, from within the wait for the next event.

        Waiting raises:
            NotAuthenticatedError, ForbiddenError, RunNotFoundError, ServerRefusedError: the server says no.
            ConnectionLostError: ``max_wait_s`` seconds passed without a connection. None: it never gives up.
        """
        options = WatchOptions(
            client_id=client_id,
            transports=self._transports,
            max_wait_s=max_wait_s,
            silence_s=self._silence_s,
            on_connection=on_connection,
        )
        return Watch(self._site, Position(run_id, last_event_id), options, self.get_run)

    async def agents(self) -> list[AgentInfo]:
        """The agents that can be selected, in the order of a full pipeline."""
        return (await self._ask("GET", "agents", _Agents)).agents

    async def projects(self) -> list[ProjectInfo]:
        """The projects of the token's user, with the user's role in each."""
        return (await self._ask("GET", "projects", _Projects)).projects

    async def usage(self) -> UsageInfo:
        """What the user's tenant has spent on language models in this month, and what is left."""
        return await self._ask("GET", "usage", UsageInfo)

    async def documents(self, project_id: str | None = None) -> list[DocumentInfo]:
        """The project's documents by path."""
        return (await self._ask("GET", f"{await self._project(project_id)}/documents", _Documents)).documents

    async def get_document(self, document_id: str, project_id: str | None = None) -> DocumentInfo:
        """One document with its content."""
        return await self._ask("GET", f"{await self._project(project_id)}/documents/{document_id}", DocumentInfo)

    async def upload(self, path: str, content: str | bytes, project_id: str | None = None) -> DocumentInfo:
        """Keep a text document of at most 5 MB; the same ``path`` again makes a new version."""
        data = content.encode() if isinstance(content, str) else content
        address = f"{await self._project(project_id)}/documents"
        return (await self._ask("POST", address, _Documents, files={"file": (path, data)})).documents[0]

    async def start_run(
        self,
        agents_selected: Sequence[str],
        *,
        pipeline_mode: str = "sequential",
        project_id: str | None = None,
        run_id: str | None = None,
        use_cache: bool = True,
    ) -> RunSnapshot:
        """Start a run. With a ``run_id`` (a UUID) asking again for the same is the same as asking once.

        ``use_cache`` false: a language model that costs something is asked even what it was asked before.
        """
        body: dict[str, Any] = {
            "agents_selected": list(agents_selected),
            "pipeline_mode": pipeline_mode,
            "use_cache": use_cache,
        }
        if run_id is not None:
            body["run_id"] = run_id
        return await self._ask("POST", f"{await self._project(project_id)}/agent-runs", RunSnapshot, json=body)

    async def get_run(self, run_id: str, project_id: str | None = None) -> RunSnapshot:
        """The run as it is now; without ``project_id`` it is looked for in each of the user's projects."""
        projects = [project_id] if project_id else [project.id for project in await self.projects()]
        for candidate in projects:
            try:
                return await self._ask("GET", f"projects/{candidate}/agent-runs/{run_id}", RunSnapshot)
            except RunNotFoundError:
                continue
        raise RunNotFoundError("RUN_NOT_FOUND", "There is no such run.", 404)

    async def cancel_run(self, run_id: str, project_id: str | None = None) -> RunSnapshot:
        """End a run, whichever server works on it; the run as it ended. One that has ended stays as it is."""
        return await self._ask("POST", f"{await self._run(run_id, project_id)}/cancel", RunSnapshot)

    async def retry_run(
        self, run_id: str, project_id: str | None = None, *, retry_id: str | None = None
    ) -> RunSnapshot:
        """Start a new run that does again what a failed or cancelled one did not complete, and keeps the rest.

        The new run names the old one in ``retry_of``. With a ``retry_id`` (a UUID), which becomes its id, asking
        again is the same as asking once.
        """
        body = {} if retry_id is None else {"run_id": retry_id}
        return await self._ask("POST", f"{await self._run(run_id, project_id)}/retry", RunSnapshot, json=body)

    async def list_artifacts(self, run_id: str, project_id: str | None = None) -> list[ArtifactInfo]:
        """What the agents of a run left behind, newest first, without content."""
        project_id = project_id or (await self.get_run(run_id)).project_id
        address = f"projects/{project_id}/artifacts"
        return (await self._ask("GET", address, _Artifacts, params={"run_id": run_id})).artifacts

    async def get_artifact(self, artifact_id: str, project_id: str | None = None) -> ArtifactInfo:
        """One artifact with its content."""
        return await self._ask("GET", f"{await self._project(project_id)}/artifacts/{artifact_id}", ArtifactInfo)

    async def aclose(self) -> None:
        """Close every connection, also those of watches. Idempotent."""
        await self._site.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _project(self, project_id: str | None) -> str:
        if project_id is None:
            projects = await self.projects()
            if not projects:
                raise RunClientError("the token's user is a member of no project")
            project_id = projects[0].id
        return f"projects/{project_id}"

    async def _run(self, run_id: str, project_id: str | None) -> str:
        project_id = project_id or (await self.get_run(run_id)).project_id
        return f"projects/{project_id}/agent-runs/{run_id}"

    async def _ask(self, method: str, path: str, kind: type[_T], **options: Any) -> _T:
        """The answer to one request as a ``kind``."""
        url = f"{self.url}/api/v1/{path}"
        try:
            response = await self._site.http.request(method, url, headers=self._site.headers, **options)
        except httpx2.TransportError as error:
            raise ConnectionLostError(f"{self.url} does not answer: {error or type(error).__name__}") from None
        if response.status_code >= 300:
            raise refusal_of_response(response.status_code, response.content)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            raise RunClientError(f"{url} answered something else than expected: {error}") from None
