"""Pages of allowed origins can read every answer, errors and streams too; no other page can read any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from live import GatedModel, LiveServer, live_server
from raw_peer import RawHttp, raw_http
from seeded import seed_run

from realtime.cors import METHODS, SHARED
from realtime.tokens import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOWED = "https://app.example.org"
ALSO_ALLOWED = "http://localhost:5173"
FOREIGN = (
    "https://elsewhere.example",
    "null",
    "https://app.example.org:8443",
    "https://app.example.org.evil.example",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    """A server that pages of two other origins may use."""
    home = tmp_path_factory.mktemp("cors") / "home"
    async with live_server(home, GatedModel(), allowed_origins=(ALLOWED, ALSO_ALLOWED)) as live:
        yield live


async def ask(
    server: LiveServer, path: str, headers: dict[str, str], *, method: str = "GET", body: bytes = b""
) -> RawHttp:
    """The head of the answer to one request."""
    async with raw_http(server.url, path, headers, method=method, body=body) as answer:
        return answer


def granted(answer: RawHttp) -> dict[str, str]:
    """Everything that CORS says in an answer."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


SHOWN = {"access-control-expose-headers": "Location, Retry-After, X-Request-Id"}


def to(origin: str) -> dict[str, str]:
    """What an answer says to an allowed origin."""
    return {"access-control-allow-origin": origin}


async def preflight(server: LiveServer, path: str, origin: str, method: str = "POST", **headers: str) -> RawHttp:
    """The answer to what a browser asks before a request that is not simple."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **headers}
    return await ask(server, path, asked, method="OPTIONS")


@pytest.mark.parametrize("origin", [ALLOWED, ALSO_ALLOWED])
async def test_preflight_of_an_allowed_origin_is_granted_without_identity(server: LiveServer, origin: str) -> None:
    """204 with methods, headers and how long to remember, for exactly this origin; on any path of the API."""
    for path in ("/api/v1/projects", f"{server.project}/agent-runs", f"/api/v1/events/agent-runs/{uuid4()}"):
        answer = await preflight(server, path, origin, **{"Access-Control-Request-Headers": "authorization"})
        assert answer.status == 204
        assert answer.headers["vary"] == "Origin"
        assert granted(answer) == {
            **to(origin),
            "access-control-allow-methods": "DELETE, GET, HEAD, POST",
            "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
            "access-control-max-age": "3600",
        }


@pytest.mark.parametrize("origin", FOREIGN)
async def test_preflight_of_a_foreign_origin_is_granted_nothing(server: LiveServer, origin: str) -> None:
    """No header of CORS at all; caches are told that the answer depends on the origin."""
    answer = await preflight(server, f"{server.project}/agent-runs", origin)
    assert granted(answer) == {}
    assert answer.headers["vary"] == "Origin"


async def test_every_method_of_the_api_is_granted(server: LiveServer) -> None:
    """What a preflight allows is what there is."""
    rules = server.home.app.url_map.iter_rules()
    used = {method for rule in rules if rule.rule.startswith(SHARED) for method in rule.methods or ()}
    assert used - {"OPTIONS"} == set(METHODS)


async def test_request_of_an_allowed_origin_is_answered_readably(server: LiveServer) -> None:
    """Reading and writing, with the headers that scripts may see."""
    headers = {**server.headers, "Origin": ALLOWED, "Content-Type": "application/json"}
    body = b'{"agents_selected":["qa_consultant"]}'
    answers = [
        await ask(server, "/api/v1/projects", headers),
        await ask(server, f"{server.project}/agent-runs", headers, method="POST", body=body),
        await ask(server, "/static/run-client.js", {"Origin": ALLOWED}),
    ]
    assert [answer.status for answer in answers] == [200, 201, 200]
    for answer in answers:
        assert granted(answer) == {**to(ALLOWED), **SHOWN}
        assert "Origin" in answer.headers["vary"]


def failures(server: LiveServer) -> dict[int, tuple[str, str, dict[str, str], bytes]]:
    """A request for each way to fail: method, path, headers, body."""
    bearer = server.headers
    return {
        400: ("GET", "/api/v1/events/agent-runs/42", bearer, b""),
        401: ("GET", "/api/v1/projects", {}, b""),
        403: ("POST", f"{server.project}/documents", {"Cookie": f"{COOKIE}=x", "Origin": "null"}, b""),
        404: ("GET", f"/api/v1/events/agent-runs/{uuid4()}", bearer, b""),
        405: ("DELETE", "/api/v1/agents", bearer, b""),
        413: ("POST", f"{server.project}/agent-runs", bearer, b"x" * 70_000),
    }


async def test_error_is_readable_for_an_allowed_origin(server: LiveServer) -> None:
    """Refusals of every kind, those of the stream among them: a script can tell 401 from a broken network."""
    cases = failures(server)
    del cases[403]
    role = await server.user_with_role("viewer", "cors-viewer@localhost")
    run_id = await server.start_run(["qa_consultant"])
    forbidden = {"Authorization": f"Bearer {role}"}
    cases[403] = ("GET", f"/api/v1/events/agent-runs/{run_id}", forbidden, b"")
    for status, (method, path, headers, body) in cases.items():
        answer = await ask(server, path, {**headers, "Origin": ALLOWED}, method=method, body=body)
        assert answer.status == status
        assert granted(answer) == {**to(ALLOWED), **SHOWN}, status


async def test_failure_of_the_server_is_readable_for_an_allowed_origin(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, too."""

    async def fail(*_: object) -> None:
        raise RuntimeError("broken for a test")

    monkeypatch.setattr(server.home.backend.runs, "list_runs", fail)
    answer = await ask(server, f"{server.project}/agent-runs", {**server.headers, "Origin": ALLOWED})
    assert answer.status == 500
    assert granted(answer) == {**to(ALLOWED), **SHOWN}


@pytest.mark.parametrize("origin", FOREIGN)
async def test_answer_is_unreadable_for_a_foreign_origin(server: LiveServer, origin: str) -> None:
    """Whatever the answer is: no header of CORS."""
    requests: list[Any] = [*failures(server).values(), ("GET", "/api/v1/projects", server.headers, b"")]
    for method, path, headers, body in requests:
        answer = await ask(server, path, {**headers, "Origin": origin}, method=method, body=body)
        assert granted(answer) == {}
        assert "Origin" in answer.headers["vary"]


async def test_page_for_people_is_never_shared(server: LiveServer) -> None:
    """Pages and the ends for operators are no business of other pages, allowed or not."""
    for path in ("/sign-in", "/", f"/projects/{server.home.project_id}", "/healthz", "/readyz", "/nothing", "/api"):
        answer = await ask(server, path, {**server.headers, "Origin": ALLOWED})
        assert granted(answer) == {}, path
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert granted(await preflight(server, path, ALLOWED)) == {}
    assert (await ask(server, "/static/run-client.js", {})).headers["cross-origin-resource-policy"] == "cross-origin"
    assert (await ask(server, "/api/v1/agents", {})).headers["cross-origin-resource-policy"] == "same-origin"


async def test_stream_of_an_allowed_origin_is_readable_and_resumes(server: LiveServer) -> None:
    """SSE by fetch: a Bearer token and Last-Event-ID, the head readable, the events after the cursor."""
    run = await seed_run(server)
    await run.finish()
    headers = {**server.headers, "Origin": ALLOWED, "Last-Event-ID": "1"}
    async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", headers) as stream:
        assert stream.status == 200
        assert granted(stream) == {**to(ALLOWED), **SHOWN}
        events = await stream.events()
    assert events[0].id == 2
    assert events[-1].data["payload"]["all_done"] is True


async def test_answer_to_our_own_page_or_to_nobody_needs_no_grant(server: LiveServer) -> None:
    """Our own origin reads its answers anyhow; programs have none."""
    for headers in (server.headers, {**server.headers, "Origin": server.url}):
        answer = await ask(server, "/api/v1/projects", headers)
        assert answer.status == 200
        assert granted(answer) == {}
