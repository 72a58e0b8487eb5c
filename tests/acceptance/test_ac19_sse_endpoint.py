"""AC-19: the SSE endpoint of a run. One test per bullet of the criterion, over a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from live import ALL_AGENTS, GatedModel, LiveServer, live_server

from orchestrator.errors import ModelError
from realtime.events import EventType, InvalidEventError
from realtime.ports import User
from realtime.sse import SSEEvent

RUN_ID = UUID("6f1c7d4e-7a32-4c5d-9a56-0d5f8f1f0f11")


@pytest.fixture
async def quick(tmp_path: Path, model: GatedModel) -> AsyncIterator[LiveServer]:
    """A server whose silence lasts a tenth of a second."""
    async with live_server(tmp_path / "home", model, heartbeat_s=0.1, retry_delays_s=()) as live:
        yield live


async def finished(server: LiveServer, model: GatedModel, agents: list[str]) -> list[dict[str, Any]]:
    """What a viewer gets of a run of ``agents`` that succeeds."""
    run_id = await server.start_run(agents)
    model.finish(*agents)
    return await server.watched(run_id)


async def test_endpoint_known_run_answers_200_event_stream(server: LiveServer, model: GatedModel) -> None:
    """A run of the tenant is answered with 200 and ``text/event-stream``."""
    run_id = await server.start_run(["ba_consultant"])
    async with server.http.stream("GET", f"/api/v1/events/agent-runs/{run_id}") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")


async def test_endpoint_unknown_run_answers_404_run_not_found(server: LiveServer) -> None:
    """A run that the tenant does not have is answered with 404 RUN_NOT_FOUND."""
    response = await server.http.get(f"/api/v1/events/agent-runs/{uuid4()}")
    assert (response.status_code, response.json()["error"]) == (404, "RUN_NOT_FOUND")


async def test_endpoint_other_tenants_run_answers_404(server: LiveServer) -> None:
    """A run of another tenant is, for everybody else, no run."""
    accounts = server.home.store.accounts
    await accounts.ensure_tenant("other")
    stranger = await accounts.ensure_user("other", "owner@localhost")
    token = server.tokens.issue(User(tenant="other", id=stranger.id, email=stranger.email), 60)
    run_id = await server.start_run(["ba_consultant"])
    response = await server.http.get(
        f"/api/v1/events/agent-runs/{run_id}", headers={"Authorization": f"Bearer {token}"}
    )
    assert (response.status_code, response.json()["error"]) == (404, "RUN_NOT_FOUND")


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("owner", 200),
        ("admin", 200),
        ("qa-automation", 200),
        ("pm-csm", 403),
        ("qa-manual", 403),
        ("developer", 403),
        ("viewer", 403),
        (None, 403),
    ],
)
async def test_endpoint_role_decides(server: LiveServer, role: str | None, status: int) -> None:
    """Owner, admin and qa-automation may watch; every other role, and none, is answered with 403."""
    run_id = await server.start_run(["ba_consultant"])
    headers = {"Authorization": f"Bearer {await server.user_with_role(role)}"}
    async with server.http.stream("GET", f"/api/v1/events/agent-runs/{run_id}", headers=headers) as response:
        assert response.status_code == status


async def test_payload_running_step_has_its_fields(server: LiveServer, model: GatedModel) -> None:
    """A step that starts tells its id, its agent, 0 % and the label."""
    first = next(event for event in await finished(server, model, ["ba_consultant"]) if event["type"] == "running")
    assert UUID(first["payload"]["step_id"])
    assert first["payload"]["agent_type"] == "ba_consultant"
    assert first["payload"]["progress_pct"] == 0
    assert first["payload"]["progress_label"] == "Agent ba_consultant is analyzing your project..."


async def test_payload_complete_step_has_its_fields(server: LiveServer, model: GatedModel) -> None:
    """A step that succeeded tells its id, its agent, the tokens and an artifact that can be read."""
    events = await finished(server, model, ["ba_consultant"])
    payload = next(event["payload"] for event in events if event["type"] == "complete")
    assert UUID(payload["step_id"])
    assert (payload["agent_type"], payload["tokens_used"]) == ("ba_consultant", 100)
    artifact = await server.http.get(f"{server.project}/artifacts/{payload['artifact_id']}")
    assert artifact.status_code == 200


async def test_payload_complete_run_says_all_done(server: LiveServer, model: GatedModel) -> None:
    """The last event of a run names the run and says all_done, which tells the client that the stream ends."""
    last = (await finished(server, model, ["ba_consultant"]))[-1]
    assert last["type"] == "complete"
    assert (last["payload"]["run_id"], last["payload"]["all_done"]) == (last["run_id"], True)


async def test_payload_error_step_has_its_fields(quick: LiveServer, model: GatedModel) -> None:
    """A step that failed tells its id, its agent, STEP_FAILED and the message."""
    run_id = await quick.start_run(["ba_consultant"])
    model.fail("ba_consultant", ModelError("The model went away."))
    payload = next(event["payload"] for event in await quick.watched(run_id) if event["type"] == "error")
    assert UUID(payload["step_id"])
    assert (payload["agent_type"], payload["error_code"]) == ("ba_consultant", "STEP_FAILED")
    assert payload["message"] == "The model went away."


async def test_heartbeat_comes_in_silence_and_stream_goes_on(quick: LiveServer, model: GatedModel) -> None:
    """A generator that is silent is neither ended nor asked: heartbeats come by themselves, then its events."""
    run_id = await quick.start_run(["ba_consultant"])
    heartbeats = 0
    after: list[str] = []
    async with quick.events(run_id) as events:
        async for event in events:
            kind = json.loads(event.data)["type"]
            if kind == "heartbeat":
                heartbeats += 1
                if heartbeats == 3:
                    model.finish("ba_consultant")
            elif heartbeats >= 3:
                after.append(kind)
    assert heartbeats >= 3
    assert after[-1] == "complete"


async def test_heartbeat_wire_has_no_id(quick: LiveServer, model: GatedModel) -> None:
    """A heartbeat has three keys, an empty payload and no ``id:`` line, so it moves nobody's cursor."""
    run_id = await quick.start_run(["ba_consultant"])
    before = ""
    async with quick.http.stream("GET", f"/api/v1/events/agent-runs/{run_id}") as response:
        async for line in response.aiter_lines():
            if '"heartbeat"' in line:
                break
            before = line
    assert line == f'data: {{"type":"heartbeat","run_id":"{run_id}","payload":{{}}}}'
    assert before == ""


async def test_stream_ends_after_all_done(server: LiveServer, model: GatedModel) -> None:
    """After the event with all_done nothing more comes, and the server ends the response."""
    events = await finished(server, model, ALL_AGENTS)
    assert [event["payload"].get("all_done") for event in events].count(True) == 1
    assert events[-1]["payload"]["all_done"] is True


async def test_stream_viewer_leaves_frees_its_subscription(server: LiveServer, model: GatedModel) -> None:
    """When a viewer disconnects its subscription ends; the run and others do not notice."""
    run_id = await server.start_run(["ba_consultant"])
    broadcaster = server.home.backend.broadcaster
    async with server.events(run_id) as events:
        await anext(events)
        assert broadcaster.viewers == 1
    async with server.events(run_id) as events:
        model.finish("ba_consultant")
        assert [json.loads(event.data) async for event in events][-1]["payload"]["all_done"] is True
    assert broadcaster.viewers == 0


async def test_headers_forbid_buffering_and_caching(server: LiveServer) -> None:
    """The response tells proxies and caches to let events through as they come."""
    run_id = await server.start_run(["ba_consultant"])
    async with server.http.stream("GET", f"/api/v1/events/agent-runs/{run_id}") as response:
        assert response.headers["x-accel-buffering"] == "no"
        assert "no-cache" in response.headers["cache-control"]
        assert response.headers["connection"] == "keep-alive"


def test_wire_is_one_data_line_of_three_keys() -> None:
    """An event on the wire is one ``data:`` line with type, run_id and payload, compact, then a blank line."""
    wire = SSEEvent(type="running", run_id=RUN_ID, payload={"progress_pct": 0}).to_wire()
    assert wire == f'data: {{"type":"running","run_id":"{RUN_ID}","payload":{{"progress_pct":0}}}}\n\n'.encode()


def test_wire_unknown_type_is_refused() -> None:
    """Types are queued, running, complete, error and heartbeat; any other is refused where it is made."""
    assert {kind.value for kind in EventType} == {"queued", "running", "complete", "error", "heartbeat"}
    with pytest.raises(InvalidEventError, match="unknown event type"):
        SSEEvent(type="paused", run_id=RUN_ID, payload={}).to_wire()


async def test_sequence_of_a_run_arrives_in_order(server: LiveServer, model: GatedModel) -> None:
    """A viewer sees the plan, then each step running and complete in order, then the end of the run."""
    told = [
        (event["type"], event["payload"].get("agent_type", "run"))
        for event in await finished(server, model, ["ba_consultant", "qa_consultant"])
    ]
    assert told == [
        ("queued", "ba_consultant"),
        ("queued", "qa_consultant"),
        ("running", "ba_consultant"),
        ("complete", "ba_consultant"),
        ("running", "qa_consultant"),
        ("complete", "qa_consultant"),
        ("complete", "run"),
    ]
