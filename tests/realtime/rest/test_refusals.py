"""What is refused or fails over REST: every time in the one shape, with nothing of the inside."""

from __future__ import annotations

from uuid import uuid4

import httpx2
import pytest
from live import ALL_AGENTS, LiveServer
from rest_answers import refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_unknown_things_are_404_each_with_its_code(server: LiveServer) -> None:
    """A run, project, artifact or document that is not there is told as such, on every method."""
    nothing = uuid4()
    http = server.http
    expected = {
        f"/api/v1/events/agent-runs/{nothing}": "RUN_NOT_FOUND",
        f"{server.project}/agent-runs/{nothing}": "RUN_NOT_FOUND",
        f"{server.project}/artifacts/{nothing}": "ARTIFACT_NOT_FOUND",
        f"/api/v1/projects/{nothing}/agent-runs": "PROJECT_NOT_FOUND",
        f"/api/v1/projects/{nothing}/documents": "PROJECT_NOT_FOUND",
        f"/api/v1/projects/{nothing}/artifacts": "PROJECT_NOT_FOUND",
        "/api/v1/nothing": "NOT_FOUND",
        "/nothing": "NOT_FOUND",
    }
    for path, code in expected.items():
        assert refusal(await http.get(path)) == (404, code), path
    started = await http.post(f"/api/v1/projects/{nothing}/agent-runs", json={"agents_selected": ALL_AGENTS})
    assert refusal(started) == (404, "PROJECT_NOT_FOUND")
    assert refusal(await http.delete(f"{server.project}/documents/{nothing}")) == (404, "DOCUMENT_NOT_FOUND")


async def test_run_of_another_project_is_not_found(server: LiveServer) -> None:
    """A run is found under its own project only."""
    run_id = await server.start_run(["qa_consultant"])
    accounts, user = server.home.store.accounts, server.home.user
    project = await accounts.ensure_project(user.tenant, "third", "Third")
    await accounts.set_member(user.tenant, project.id, user.id, "owner")
    answer = await server.http.get(f"/api/v1/projects/{project.id}/agent-runs/{run_id}")
    assert refusal(answer) == (404, "RUN_NOT_FOUND")


async def test_run_of_another_project_is_no_run_here(server: LiveServer) -> None:
    """Under one project's address, a run of another is not found, also for somebody with no role there."""
    accounts = server.home.store.accounts
    other = await accounts.ensure_project(server.home.user.tenant, "other", "Other")
    await accounts.set_member(server.home.user.tenant, other.id, server.home.user.id, "viewer")
    run_id = await server.start_run(["ba_consultant"])
    token = await server.user_with_role(None)
    stranger = await accounts.find_user(server.home.user.tenant, "somebody@localhost")
    assert stranger is not None
    await accounts.set_member(server.home.user.tenant, other.id, stranger.id, "viewer")
    for headers in (server.headers, {"Authorization": f"Bearer {token}"}):
        answer = await server.http.get(f"/api/v1/projects/{other.id}/agent-runs/{run_id}", headers=headers)
        assert refusal(answer) == (404, "RUN_NOT_FOUND")


async def test_malformed_ids_are_400(server: LiveServer) -> None:
    """What is no UUID never reaches the store."""
    for path in (
        "/api/v1/events/agent-runs/42",
        f"{server.project}/agent-runs/x",
        "/api/v1/projects/%2e%2e/agent-runs",
        "/api/v1/projects/demo/documents",
        f"{server.project}/artifacts/00000000-0000-0000-0000-00000000000",
        f"{server.project}/artifacts?run_id=x",
        f"{server.project}/agent-runs?before=x",
    ):
        assert refusal(await server.http.get(path)) == (400, "INVALID_ID"), path


async def test_method_that_a_path_lacks_is_405_with_allow(server: LiveServer) -> None:
    """405 in JSON, with the methods that are allowed."""
    answer = await server.http.delete("/api/v1/agents")
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer.headers["Allow"]


async def test_failure_inside_tells_nothing_of_the_inside(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 has the one shape and no particulars; the server goes on."""

    async def fail(key: object) -> None:
        raise RuntimeError("password=hunter2 in /somewhere/secret.py")

    with monkeypatch.context() as broken:
        broken.setattr(server.home.backend.runs, "get_run", fail)
        for path in (f"{server.project}/agent-runs/{uuid4()}", f"/api/v1/events/agent-runs/{uuid4()}"):
            answer = await server.http.get(path)
            assert refusal(answer) == (500, "INTERNAL")
            assert "hunter2" not in answer.text
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
    assert (await server.http.get("/healthz")).status_code == 200


async def test_every_answer_has_security_headers(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """Pages, JSON and errors carry nosniff, a referrer policy, and a content policy without inline code."""
    for path in ("/healthz", "/sign-in", "/nothing", "/api/v1/agents", "/api/v1/nothing"):
        headers = (await anyone.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in headers
    assert (await anyone.get("/api/v1/agents")).headers["Cache-Control"] == "no-store"
    assert (await anyone.get("/sign-in")).headers["Cache-Control"] == "no-store"


async def test_error_asked_for_by_a_person_is_a_page(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """Where ``Accept`` names HTML and the path is no API, an error is a page that repeats nothing raw."""
    answer = await anyone.get("/<script>alert(1)</script>", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<script>alert(1)" not in answer.text
    api = await anyone.get("/api/v1/nothing", headers={"Accept": "text/html"})
    assert refusal(api) == (404, "NOT_FOUND")


async def test_body_is_small_but_for_documents(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A stranger can make the server hold only a little; uploads may be large."""
    large = b'{"token":"' + b"x" * 100_000 + b'"}'
    answer = await anyone.post("/api/v1/session", content=large)
    assert refusal(answer) == (413, "REQUEST_ENTITY_TOO_LARGE")
    document = {"path": "large.md", "content": "word " * 100_000}
    assert (await server.http.post(f"{server.project}/documents", json=document)).status_code == 201
