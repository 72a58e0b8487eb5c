"""The REST interface over a real connection: what each endpoint answers, and every refusal in the one shape."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import pytest_asyncio
from live import ALL_AGENTS, ANSWERS, GatedModel, LiveServer, live_server
from raw_peer import raw_http
from seeded import all_gone, seed_run
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

from realtime.ports import User
from realtime.tokens import COOKIE, Tokens, hash_code, new_code

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


def bearer(token: str) -> dict[str, str]:
    """The header that identifies by ``token``."""
    return {"Authorization": f"Bearer {token}"}


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of an answer that is an error in the one shape."""
    body = answer.json()
    assert set(body) == {"error", "message"}, body
    assert answer.headers["Content-Type"] == "application/json"
    assert body["message"]
    return answer.status_code, body["error"]


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(server: LiveServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that brings no identity."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


async def test_agents_are_listed_in_pipeline_order(server: LiveServer) -> None:
    """The catalogue has the three agents with a name, what each needs and what it gives."""
    agents = (await server.http.get("/api/v1/agents")).json()["agents"]
    assert [agent["agent_type"] for agent in agents] == ALL_AGENTS
    assert all(set(agent) == {"agent_type", "name", "needs", "gives"} for agent in agents)


async def test_projects_are_those_of_the_user_with_the_role(server: LiveServer) -> None:
    """A member sees the project with the role; a user without membership sees an empty list."""
    projects = (await server.http.get("/api/v1/projects")).json()["projects"]
    assert projects == [{"id": server.home.project_id, "slug": "demo", "name": "Demo", "role": "owner"}]
    token = await server.user_with_role(None, "nobody@localhost")
    other = await server.http.get("/api/v1/projects", headers=bearer(token))
    assert other.json() == {"projects": []}


async def test_started_run_is_answered_with_its_snapshot_and_place(server: LiveServer) -> None:
    """201 with the run as queued, one step per agent in order, and a Location that answers the same run."""
    answer = await server.http.post(f"{server.project}/agent-runs", json={"agents_selected": ALL_AGENTS})
    run = answer.json()
    assert answer.status_code == 201
    assert UUID(run["id"])
    assert (run["status"], run["pipeline_mode"], run["last_event_id"]) == ("queued", "sequential", 3)
    assert [(step["agent_type"], step["position"], step["status"]) for step in run["steps"]] == [
        (agent_type, position, "queued") for position, agent_type in enumerate(ALL_AGENTS, 1)
    ]
    assert run["started_by"] == server.home.user.id
    shown = await server.http.get(answer.headers["Location"])
    assert shown.json()["id"] == run["id"]
    assert set(shown.json()) == {
        "id", "project_id", "status", "pipeline_mode", "agents_selected", "steps", "last_event_id", "total_tokens",
        "error_code", "error_message", "started_by", "created_at", "started_at", "completed_at", "server_time",
        "retry_of", "cancelled_by", "heartbeat_age_s",
    }  # fmt: skip
    assert set(shown.json()["steps"][0]) == {
        "id", "agent_type", "position", "status", "progress_pct", "progress_label", "attempt", "tokens_used",
        "artifact_id", "error_code", "error_message", "started_at", "completed_at",
        "retry_at", "reason", "stalled", "cached", "reused", "progress_age_s",
    }  # fmt: skip


async def test_same_run_id_twice_is_one_run(server: LiveServer) -> None:
    """A chosen run_id with an equal body is idempotent; with another body, mode or project it is RUN_ID_CONFLICT."""
    run_id = str(uuid4())
    path = f"{server.project}/agent-runs"
    body = {"agents_selected": ["qa_consultant"], "run_id": run_id}
    first = await server.http.post(path, json=body)
    again = await server.http.post(path, json=body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"] == run_id
    assert [step["id"] for step in again.json()["steps"]] == [step["id"] for step in first.json()["steps"]]
    for other in ({"agents_selected": ["ba_consultant"]}, {"pipeline_mode": "parallel"}):
        assert refusal(await server.http.post(path, json={**body, **other})) == (409, "RUN_ID_CONFLICT")
    accounts, user = server.home.store.accounts, server.home.user
    project = await accounts.ensure_project(user.tenant, "second", "Second")
    await accounts.set_member(user.tenant, project.id, user.id, "owner")
    await server.home.backend.runs.add_documents(user.tenant, project.id, [("a.md", b"# A\n")], user.id)
    elsewhere = await server.http.post(f"/api/v1/projects/{project.id}/agent-runs", json=body)
    assert refusal(elsewhere) == (409, "RUN_ID_CONFLICT")


async def test_finished_run_shows_results_and_artifacts(tmp_path: Path) -> None:
    """The snapshot is complete, each step names its artifact, lists leave content out, one artifact has it."""
    model = GatedModel()
    model.finish(*ALL_AGENTS)
    async with live_server(tmp_path, model) as server:
        run_id = await server.start_run()
        async with server.events(run_id) as stream:
            assert [event async for event in stream]
        run = await server.snapshot(run_id)
        assert (run["status"], run["total_tokens"], run["error_code"]) == ("completed", 300, None)
        assert run["completed_at"] >= run["started_at"] >= run["created_at"]
        listed = (await server.http.get(f"{server.project}/artifacts", params={"run_id": run_id})).json()["artifacts"]
        assert [artifact["id"] for artifact in reversed(listed)] == [step["artifact_id"] for step in run["steps"]]
        assert all("content" not in artifact for artifact in listed)
        for artifact in listed:
            one = (await server.http.get(f"{server.project}/artifacts/{artifact['id']}")).json()
            assert one["content"] == ANSWERS[artifact["agent_type"]]
            assert set(one) == {
                "id", "run_id", "agent_type", "title", "artifact_type", "content_type", "content", "created_at",
            }  # fmt: skip


async def test_runs_are_listed_newest_first_page_by_page(server: LiveServer) -> None:
    """``limit`` and ``before`` walk through all runs once, newest first."""
    started = [await server.start_run(["qa_consultant"]) for _ in range(5)]
    path = f"{server.project}/agent-runs"
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while page := (await server.http.get(path, params=params)).json()["runs"]:
        assert len(page) <= 2
        seen += [run["id"] for run in page]
        params["before"] = seen[-1]
    assert seen[:5] == started[::-1]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("limit", ["0", "-1", "201", "ten", "1e2", "²", "99999999999"])
async def test_limit_that_is_no_page_size_is_refused(server: LiveServer, limit: str) -> None:
    """A limit is a number from 1 to 200, and nothing else."""
    answer = await server.http.get(f"{server.project}/agent-runs", params={"limit": limit})
    assert refusal(answer) == (400, "BAD_REQUEST")


async def test_documents_are_kept_versioned_and_deleted(server: LiveServer) -> None:
    """JSON and form uploads are kept; the same path makes a new version, equal content the same; deletion is once."""
    path = f"{server.project}/documents"
    first = (await server.http.post(path, json={"path": "notes/a.md", "content": "one"})).json()["documents"][0]
    again = (await server.http.post(path, json={"path": "notes/a.md", "content": "one"})).json()["documents"][0]
    newer = (await server.http.post(path, json={"path": "notes/a.md", "content": "two ü"})).json()["documents"][0]
    assert [document["version"] for document in (first, again, newer)] == [1, 1, 2]
    assert newer["size"] == len("two ü".encode())
    files = [("file", ("b.md", b"# B\n")), ("file", ("c.md", b"# C\n"))]
    sent = await server.http.post(path, files=files)
    assert (sent.status_code, [item["path"] for item in sent.json()["documents"]]) == (201, ["b.md", "c.md"])
    listed = (await server.http.get(path)).json()["documents"]
    assert [item["path"] for item in listed] == sorted(item["path"] for item in listed)
    assert [item["version"] for item in listed if item["path"] == "notes/a.md"] == [2]
    assert (await server.http.delete(f"{path}/{newer['id']}")).status_code == 204
    assert refusal(await server.http.delete(f"{path}/{newer['id']}")) == (404, "DOCUMENT_NOT_FOUND")
    assert "notes/a.md" not in [item["path"] for item in (await server.http.get(path)).json()["documents"]]


async def test_project_without_documents_starts_no_run(tmp_path: Path) -> None:
    """A run needs something to work on: NO_DOCUMENTS."""
    async with live_server(tmp_path, with_document=False) as empty:
        answer = await empty.http.post(f"{empty.project}/agent-runs", json={"agents_selected": ALL_AGENTS})
        assert refusal(answer) == (400, "NO_DOCUMENTS")
        listed = await empty.http.get(f"{empty.project}/agent-runs")
        assert listed.json() == {"runs": []}


async def test_budget_that_is_used_up_is_402(tmp_path: Path) -> None:
    """A tenant without tokens left starts no run: BUDGET_EXCEEDED."""
    model = GatedModel()
    async with live_server(tmp_path, model, monthly_tokens=1) as poor:
        run_id = await poor.start_run(["ba_consultant"])
        model.finish("ba_consultant")
        async with poor.events(run_id) as stream:
            assert [event async for event in stream]
        answer = await poor.http.post(f"{poor.project}/agent-runs", json={"agents_selected": ALL_AGENTS})
        assert refusal(answer) == (402, "BUDGET_EXCEEDED")


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


async def test_roles_decide_what_may_be_done(server: LiveServer) -> None:
    """Invariant 9: a viewer reads, but neither streams, starts nor uploads; a manual tester also uploads."""
    run_id = await server.start_run(["qa_consultant"])
    for role, can_write in (("viewer", False), ("developer", False), ("qa-manual", True), ("pm-csm", True)):
        headers = bearer(await server.user_with_role(role, f"{role}@localhost"))
        for path in ("agent-runs", "documents", "artifacts", f"agent-runs/{run_id}"):
            assert (await server.http.get(f"{server.project}/{path}", headers=headers)).status_code == 200
        stream = await server.http.get(f"/api/v1/events/agent-runs/{run_id}", headers=headers)
        assert refusal(stream) == (403, "FORBIDDEN")
        body = {"agents_selected": ALL_AGENTS}
        started = await server.http.post(f"{server.project}/agent-runs", json=body, headers=headers)
        assert refusal(started) == (403, "FORBIDDEN")
        document = {"path": f"by-{role}.md", "content": "x"}
        kept = await server.http.post(f"{server.project}/documents", json=document, headers=headers)
        assert (kept.status_code == 201) is can_write, role
    for role in ("owner", "admin", "qa-automation"):
        headers = bearer(await server.user_with_role(role, f"{role}@localhost"))
        body = {"agents_selected": ["qa_consultant"]}
        started = await server.http.post(f"{server.project}/agent-runs", json=body, headers=headers)
        assert started.status_code == 201
    headers = bearer(await server.user_with_role(None, "stranger@localhost"))
    for path in ("agent-runs", "documents", "artifacts", f"agent-runs/{run_id}"):
        assert refusal(await server.http.get(f"{server.project}/{path}", headers=headers)) == (403, "FORBIDDEN")


def unsigned(token: str) -> str:
    """The same claims with the algorithm ``none`` and no signature."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


async def test_token_that_proves_nothing_is_401_everywhere(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """No token, one expired, of another secret, of ``alg: none`` or of another shape: 401, nothing of it told."""
    run_id = await server.start_run(["qa_consultant"])
    foreign = Tokens(b"another secret of at least 32 bytes").issue(server.home.user, 3600)
    tokens = [None, "x", "a.b.c", server.home.issue_token(-1), foreign, unsigned(server.token), "ü" * 3]
    paths = (
        "/api/v1/agents", "/api/v1/projects", f"{server.project}/agent-runs", f"{server.project}/agent-runs/{run_id}",
        f"{server.project}/documents", f"{server.project}/artifacts", f"/api/v1/events/agent-runs/{run_id}",
    )  # fmt: skip
    for token in tokens:
        headers = {} if token is None else {b"Authorization": f"Bearer {token}".encode()}
        for path in paths:
            answer = await anyone.get(path, headers=headers)
            assert refusal(answer) == (401, "NOT_AUTHENTICATED"), (token, path)
            assert not token or len(token) < 4 or token not in answer.text
    for path, body in (
        (f"{server.project}/agent-runs", {"agents_selected": ALL_AGENTS}),
        ("/api/v1/session", {"token": "x"}),
    ):
        assert refusal(await anyone.post(path, json=body)) == (401, "NOT_AUTHENTICATED")


async def test_cookie_needs_our_own_origin_to_change_things(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """With a cookie, reading needs no Origin but takes no foreign one; writing needs our own."""
    cookie = {"Cookie": f"{COOKIE}={server.token}"}
    path, body = f"{server.project}/agent-runs", {"agents_selected": ["qa_consultant"]}
    assert (await anyone.get(path, headers=cookie)).status_code == 200
    assert refusal(await anyone.post(path, json=body, headers=cookie)) == (403, "FORBIDDEN")
    for origin in ("https://elsewhere.example", "null", server.url.replace("http", "https"), server.url + ".example"):
        headers = {**cookie, "Origin": origin}
        assert refusal(await anyone.get(path, headers=headers)) == (403, "FORBIDDEN"), origin
        assert refusal(await anyone.post(path, json=body, headers=headers)) == (403, "FORBIDDEN"), origin
        stream = await anyone.get(
            f"/api/v1/events/agent-runs/{uuid4()}", headers={**server.headers, "Origin": origin}
        )
        assert refusal(stream) == (403, "FORBIDDEN"), origin
    own = await anyone.post(path, json=body, headers={**cookie, "Origin": server.url})
    assert own.status_code == 201


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


async def test_health_and_readiness_need_no_identity(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """``/healthz`` and ``/readyz`` answer anybody with 200 while the server serves."""
    health = await anyone.get("/healthz")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    ready = await anyone.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


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


async def test_session_turns_a_token_into_a_cookie(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """The cookie is HttpOnly, SameSite=Lax, for the whole site, no longer than the token; DELETE takes it back."""
    answer = await anyone.post("/api/v1/session", json={"token": server.home.issue_token(600)})
    assert answer.status_code == 200
    assert answer.json()["email"] == server.home.user.email
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    age = int(cookie.split("Max-Age=")[1].split(";")[0])
    assert 500 < age <= 600
    assert (await anyone.get("/api/v1/projects")).status_code == 200
    assert refusal(await anyone.delete("/api/v1/session")) == (403, "FORBIDDEN")
    ended = await anyone.delete("/api/v1/session", headers={"Origin": server.url})
    assert ended.status_code == 204
    assert refusal(await anyone.get("/api/v1/projects")) == (401, "NOT_AUTHENTICATED")


async def test_session_from_a_foreign_page_is_refused(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A foreign page cannot sign a browser in, neither by API nor by form."""
    foreign = {"Origin": "https://elsewhere.example"}
    answer = await anyone.post("/api/v1/session", json={"token": server.token}, headers=foreign)
    assert refusal(answer) == (403, "FORBIDDEN")
    assert "Set-Cookie" not in answer.headers
    for headers in (foreign, {}):
        form = await anyone.post("/sign-in", data={"token": server.token}, headers=headers)
        assert form.status_code == 403
        assert "Set-Cookie" not in form.headers


async def test_sign_in_link_is_spent_once_and_by_post_only(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """Opening a link (or a scanner that does) spends nothing; the form does, and a second time it is refused."""
    link = await server.home.sign_in_link(server.url)
    code = link.partition("code=")[2]
    for _ in range(2):
        page = await anyone.get(link)
        assert page.status_code == 200
        assert "Set-Cookie" not in page.headers
        assert code in page.text
    own = {"Origin": server.url}
    signed_in = await anyone.post("/sign-in", data={"code": code}, headers=own)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/")
    assert (await anyone.get("/api/v1/projects")).status_code == 200
    anyone.cookies.clear()
    second = await anyone.post("/sign-in", data={"code": code}, headers=own)
    assert second.status_code == 401
    assert "Set-Cookie" not in second.headers


async def test_sign_in_link_that_expired_is_refused(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A code is worth nothing after its time, and one that was never given out neither."""
    code = new_code()
    await server.home.backend.accounts.add_code(hash_code(code), server.home.user, -1)
    own = {"Origin": server.url}
    for sent in (code, new_code(), "x"):
        answer = await anyone.post("/sign-in", data={"code": sent}, headers=own)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers


async def test_pasted_token_signs_in_and_sign_out_ends_it(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """The form takes a token as well, with blanks around; signing out needs our Origin and removes the cookie."""
    own = {"Origin": server.url}
    assert (await anyone.post("/sign-in", data={"token": "nonsense"}, headers=own)).status_code == 401
    signed_in = await anyone.post("/sign-in", data={"token": f"  {server.token}\n"}, headers=own)
    assert signed_in.status_code == 303
    assert (await anyone.get("/")).headers["Location"] == f"/projects/{server.home.project_id}"
    assert (await anyone.post("/sign-out")).status_code == 403
    assert (await anyone.post("/sign-out", headers=own)).status_code == 303
    assert (await anyone.get("/")).headers["Location"] == "/sign-in"


async def test_head_of_a_stream_has_no_body_and_leaves_nothing(server: LiveServer) -> None:
    """HEAD of the SSE endpoint tells the headers and ends at once; no subscription stays."""
    run = await seed_run(server)
    path = f"/api/v1/events/agent-runs/{run.id}"
    async with raw_http(server.url, path, {**server.headers, "Connection": "close"}, method="HEAD") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert await answer._reader.read() == b""
    await all_gone(server)
    nothing = await server.http.head(f"/api/v1/events/agent-runs/{uuid4()}")
    assert (nothing.status_code, nothing.content) == (404, b"")


async def test_run_in_another_tenant_is_not_found(server: LiveServer) -> None:
    """Invariant 9: the same ids with a token of another tenant find nothing, by REST as by SSE."""
    run_id = await server.start_run(["qa_consultant"])
    accounts = server.home.store.accounts
    await accounts.ensure_tenant("elsewhere")
    record = await accounts.ensure_user("elsewhere", "somebody@localhost")
    headers = bearer(server.tokens.issue(User(tenant="elsewhere", id=record.id, email=record.email), 3600))
    assert refusal(await server.http.get(f"/api/v1/events/agent-runs/{run_id}", headers=headers)) == (
        404,
        "RUN_NOT_FOUND",
    )
    shown = await server.http.get(f"{server.project}/agent-runs/{run_id}", headers=headers)
    assert refusal(shown) == (404, "PROJECT_NOT_FOUND")


async def test_stream_over_http_1_0_is_whole_without_chunks(server: LiveServer) -> None:
    """HTTP/1.0 knows no chunks: the events come as they are, and the end of the connection ends them."""
    run = await seed_run(server)
    await run.progress("a", "b")
    await run.finish()
    path = f"/api/v1/events/agent-runs/{run.id}"
    async with raw_http(server.url, path, server.headers, version="1.0") as answer:
        assert answer.status == 200
        assert "transfer-encoding" not in answer.headers
        assert answer.headers.get("connection") != "keep-alive"
        events = (await answer.body()).decode().split("\n\n")
    assert events[0].startswith("retry: ")
    assert [event.split("\n")[0] for event in events[1:5]] == ["id: 1", "id: 2", "id: 3", "id: 4"]
    assert '"all_done":true' in events[4]


@pytest.mark.parametrize("scheme", ["Basic dTpw", "Bearer"])
async def test_cookie_beside_another_authorization_still_needs_our_origin(server: LiveServer, scheme: str) -> None:
    """Another scheme, or a bearer without a token, leaves the cookie what identifies."""
    headers = {"Cookie": f"{COOKIE}={server.token}", "Authorization": scheme, "Origin": "https://elsewhere.example"}
    async with httpx2.AsyncClient(base_url=server.url) as client:
        answer = await client.post(
            f"{server.project}/agent-runs", json={"agents_selected": ["ba_consultant"]}, headers=headers
        )
    assert refusal(answer) == (403, "FORBIDDEN")


async def test_body_is_small_but_for_documents(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """A stranger can make the server hold only a little; uploads may be large."""
    large = b'{"token":"' + b"x" * 100_000 + b'"}'
    answer = await anyone.post("/api/v1/session", content=large)
    assert refusal(answer) == (413, "REQUEST_ENTITY_TOO_LARGE")
    document = {"path": "large.md", "content": "word " * 100_000}
    assert (await server.http.post(f"{server.project}/documents", json=document)).status_code == 201


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


async def test_page_of_a_project_is_the_same_under_any_spelling_of_its_id(server: LiveServer) -> None:
    """An id is a UUID, whatever its letters' case; somebody without a session is led to the sign-in page."""
    html = {"Accept": "text/html"}
    for spelling in (server.home.project_id, server.home.project_id.upper()):
        page = await server.http.get(f"/projects/{spelling}", headers=html)
        assert page.status_code == 200
        assert "docs/spec.md" in page.text
    async with httpx2.AsyncClient(base_url=server.url) as client:
        answer = await client.get(f"/projects/{server.home.project_id}", headers=html)
    back = f"/sign-in?next=%2Fprojects%2F{server.home.project_id}"
    assert (answer.status_code, answer.headers["location"]) == (303, back)
