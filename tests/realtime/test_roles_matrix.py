"""Who may do what: every role, and everybody without one, on every endpoint and both streams, by the one table."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
import websockets
from live import LiveServer, LiveSocket
from routes import Route, http_routes
from seeded import AGENT
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures
from two_tenants import Party, settle

from realtime.endpoints.description.operations import OPERATIONS
from realtime.roles import PERMISSIONS, Action, Role, may

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_MEMBER, FOREIGNER, NOBODY = "no member", "other tenant", "nobody"
CALLERS = (*[role.value for role in Role], NO_MEMBER, FOREIGNER, NOBODY)
DOCS = Path(__file__).parents[2] / "docs" / "roles.md"


class Deed(NamedTuple):
    """What an endpoint is for: the action that must be allowed, and the status where it is.

    ``action`` None: nothing in a project; then ``status`` is for whoever is somebody, ``nobody`` for all others.
    """

    action: Action | None
    status: int
    nobody: int = 401
    body: dict[str, Any] | None = None
    query: str = ""


_PROJECT = "/api/v1/projects/{project_id}"
START = {"agents_selected": [AGENT]}
DEEDS: dict[Route, Deed] = {
    ("GET", f"{_PROJECT}/documents"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/agent-runs"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/agent-runs/{{run_id}}"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/run-durations"): Deed(Action.READ, 200, query=f"?agents_selected={AGENT}"),
    ("GET", f"{_PROJECT}/artifacts"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/documents/{{document_id}}"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/artifacts/{{artifact_id}}"): Deed(Action.READ, 200),
    ("GET", f"{_PROJECT}/artifacts/{{artifact_id}}/download"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/runs/{run_id}"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/runs"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/documents"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/artifacts"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/artifacts/{artifact_id}"): Deed(Action.READ, 200),
    ("GET", "/projects/{project_id}/documents/{document_id}"): Deed(Action.READ, 200),
    ("GET", "/api/v1/events/agent-runs/{run_id}"): Deed(Action.STREAM, 200),
    ("POST", f"{_PROJECT}/agent-runs"): Deed(Action.START_RUN, 201, body=START),
    ("POST", f"{_PROJECT}/agent-runs/{{run_id}}/cancel"): Deed(Action.CANCEL_RUN, 200),
    ("POST", f"{_PROJECT}/agent-runs/{{run_id}}/retry"): Deed(Action.START_RUN, 201),
    ("POST", f"{_PROJECT}/documents"): Deed(
        Action.WRITE_DOCUMENTS, 201, body={"path": "more.md", "content": "# More"}
    ),
    ("DELETE", f"{_PROJECT}/documents/{{document_id}}"): Deed(Action.WRITE_DOCUMENTS, 204),
    ("GET", "/api/v1/agents"): Deed(None, 200),
    ("GET", "/api/v1/projects"): Deed(None, 200),
    ("GET", "/api/v1/usage"): Deed(None, 200),
    ("POST", "/api/v1/session"): Deed(None, 200),
    ("DELETE", "/api/v1/session"): Deed(None, 204, nobody=204),
    ("GET", "/healthz"): Deed(None, 200, nobody=200),
    ("GET", "/readyz"): Deed(None, 200, nobody=200),
    ("GET", "/openapi.json"): Deed(None, 200, nobody=200),
    ("GET", "/asyncapi.json"): Deed(None, 200, nobody=200),
    ("GET", "/docs"): Deed(None, 200, nobody=200),
    ("GET", "/static/{filename}"): Deed(None, 200, nobody=200),
    ("GET", "/static/runcast-client-{build}.tgz"): Deed(None, 404, nobody=404),
    ("GET", "/static/v-{version}/{filename}"): Deed(None, 200, nobody=200),
    ("GET", "/sign-in"): Deed(None, 200, nobody=200),
    ("POST", "/sign-in"): Deed(None, 403, nobody=403),
    ("POST", "/sign-out"): Deed(None, 403, nobody=403),
}
"""Every endpoint, in the order in which they are tried: a run is cancelled before it is retried. The forms ask
for our own Origin, which no caller here brings, whoever it is."""
ELSEWHERE: set[Route] = {("GET", "/")}
"""What depends on which projects the caller has at all."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(shared: LiveServer) -> Party:  # noqa: F811
    """The project that everybody tries, with its run."""
    return await settle(shared, "acme")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreigner(shared: LiveServer) -> Party:  # noqa: F811
    """The owner of a project of another tenant."""
    return await settle(shared, "globex")


async def token_of(caller: str, place: Party, foreigner: Party) -> str | None:
    """What identifies the caller, where anything does."""
    if caller in {NOBODY, FOREIGNER}:
        return None if caller == NOBODY else foreigner.token
    accounts = place.server.home.store.accounts
    record = await accounts.ensure_user(place.user.tenant, f"{caller.replace(' ', '-')}@acme.example")
    if caller != NO_MEMBER:
        await accounts.set_member(place.user.tenant, place.project_id, record.id, caller)
    return place.server.tokens.issue(
        type(place.user)(tenant=place.user.tenant, id=record.id, email=record.email), 600
    )


def expected(caller: str, action: Action | None, allowed: int, nobody: int = 401) -> int:
    """The status that the table of permissions means for the caller."""
    if caller == NOBODY:
        return nobody
    if action is None:
        return allowed
    if caller == FOREIGNER:
        return 404
    return allowed if may(None if caller == NO_MEMBER else caller, action) else 403


async def status_of(http: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any] | None) -> int:
    """The status of the answer; of a stream, no more is read."""
    async with http.stream(method, path, json=body) as answer:
        return answer.status_code


async def new_document(place: Party) -> str:
    """A document to be deleted by whoever may."""
    runs = place.server.home.backend.runs
    documents = [(f"{uuid4()}.md", b"# Spare\n")]
    (kept,) = await runs.add_documents(place.user.tenant, place.project_id, documents, place.user.id)
    return kept.id


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_endpoint_obeys_the_table(caller: str, place: Party, foreigner: Party) -> None:
    """Each endpoint answers each caller with exactly the status that the table means: success, 403, 404 or 401."""
    token = await token_of(caller, place, foreigner)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answered, meant = {}, {}
    async with httpx2.AsyncClient(base_url=place.server.url, headers=headers, timeout=30) as http:
        for (method, path), deed in DEEDS.items():
            file = {"version": "0", "build": "0", "filename": "style.css"}
            ids = {**place.ids, **file, "document_id": await new_document(place)}
            body = {"token": token or "none"} if path == "/api/v1/session" and method == "POST" else deed.body
            answered[method, path] = await status_of(http, method, path.format(**ids) + deed.query, body)
            http.cookies.clear()  # signing in would change who asks next, and how
            meant[method, path] = expected(caller, deed.action, deed.status, deed.nobody)
    assert answered == meant


async def test_no_endpoint_is_without_expectation(place: Party) -> None:
    """A new endpoint is tried by nobody until it is written down here."""
    assert http_routes(place.server) == {*DEEDS, *ELSEWHERE}


async def test_description_names_the_action_that_is_asked_for(place: Party) -> None:
    """What the API's description says is needed is what the endpoints were just tried for."""
    described = {(operation.method, operation.path): operation.action for operation in OPERATIONS}
    assert described == {route: DEEDS[route].action for route in described}


@contextlib.asynccontextmanager
async def socket_of(place: Party, token: str | None) -> AsyncIterator[LiveSocket]:
    """A WebSocket connection of whoever has the token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with websockets.connect(
        place.server.ws_url, subprotocols=[websockets.Subprotocol("runcast.v1")], additional_headers=headers
    ) as connection:
        yield LiveSocket(connection)


@pytest.mark.parametrize("caller", CALLERS)
async def test_websocket_obeys_the_table(caller: str, place: Party, foreigner: Party) -> None:
    """Watching project and run is answered as the table says; who may not has nothing to ack or to leave either."""
    token = await token_of(caller, place, foreigner)
    status = expected(caller, Action.STREAM, 200)
    async with socket_of(place, token) as socket:
        if token is not None:
            assert (await socket.receive())["op"] == "welcome"
        for answered, kind, id in (("project", "project", place.project_id), ("subscribed", "run", place.run_id)):
            op = "watch_project" if kind == "project" else "subscribe"
            answer = await socket.ask({"op": op, f"{kind}_id": id})
            if status == 200:
                assert (answer["op"], answer[f"{kind}_id"]) == (answered, id)
                continue
            codes = {401: "NOT_AUTHENTICATED", 403: "FORBIDDEN", 404: f"{kind.upper()}_NOT_FOUND"}
            assert (answer["op"], answer["code"], answer["fatal"]) == ("error", codes[status], status == 401)
            if status == 401:
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.receive()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4401
                return
            for command in ({"op": "ack", "event_id": 1}, {"op": "unsubscribe"}, {"op": "unwatch_project"}):
                ids = {"run_id": place.run_id, "project_id": place.project_id}
                assert (await socket.ask({**command, **ids}))["code"] == "NOT_SUBSCRIBED"


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text: rows of cells."""
    found = []
    for is_table, lines in itertools.groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        if is_table:
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            found.append([row for row in rows if set(row[0]) != {"-"}])
    return found


async def test_docs_show_the_same_table() -> None:
    """docs/roles.md says of each action and role what the code says, and has every endpoint under its action."""
    permissions, endpoints = tables(DOCS.read_text(encoding="utf-8"))
    assert permissions[0][2:] == [f"`{role}`" for role in Role]
    shown = {row[1].strip("`"): [cell == "yes" for cell in row[2:]] for row in permissions[1:]}
    assert shown == {action.value: [role in PERMISSIONS[action] for role in Role] for action in Action}
    listed = {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[1])) for row in endpoints[1:]}
    meant: dict[str, set[str]] = {action.value: set() for action in Action}
    for (method, path), deed in DEEDS.items():
        if deed.action is not None:
            meant[deed.action].add(f"{method} {path}")
    meant[Action.STREAM] |= {"subscribe", "watch_project"}
    assert listed == meant
