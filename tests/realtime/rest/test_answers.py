"""What each endpoint answers over a real connection: runs, documents, artifacts, lists, health, streams as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from live import ALL_AGENTS, ANSWERS, GatedModel, LiveServer, live_server
from raw_peer import raw_http
from rest_answers import bearer, refusal
from seeded import all_gone, seed_run

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_health_and_readiness_need_no_identity(server: LiveServer, anyone: httpx2.AsyncClient) -> None:
    """``/healthz`` and ``/readyz`` answer anybody with 200 while the server serves."""
    health = await anyone.get("/healthz")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    ready = await anyone.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


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
