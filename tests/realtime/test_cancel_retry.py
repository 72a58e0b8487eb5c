"""Cancelling and retrying runs over REST and with the Python client, on both databases, as viewers see it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from both_databases import database_url
from cli_stage import NOBODYS_RUN
from live import ALL_AGENTS, GatedModel, LiveServer, live_server, without_clock
from seeded import seed_run

from orchestrator.errors import ModelError
from orchestrator.ports import ModelChunk, ModelRequest
from realtime.client import RunClient, RunNotFoundError, ServerRefusedError

__all__ = ["database_url"]

BA, QA, AUTOMATION = ALL_AGENTS


class LeftModel(GatedModel):
    """Knows of each agent when nobody listens to its answer any more."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        try:
            async with contextlib.aclosing(super().stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self.left[request.agent_type].set()


@pytest.fixture
def model() -> LeftModel:
    """The model of ``server``."""
    return LeftModel()


@pytest.fixture
async def server(tmp_path: Path, model: LeftModel, database_url: str | None) -> AsyncIterator[LiveServer]:
    """A running server; what fails is not tried again."""
    async with live_server(tmp_path / "home", model, retry_delays_s=(), database_url=database_url) as live:
        yield live


async def post(server: LiveServer, run_id: str, deed: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to ``POST …/agent-runs/{run_id}/{deed}``."""
    answer = await server.http.post(f"{server.project}/agent-runs/{run_id}/{deed}", **options)
    return answer.status_code, dict(answer.json())


def statuses(run: dict[str, Any]) -> dict[str, str]:
    """The status of each step by its agent."""
    return {step["agent_type"]: step["status"] for step in run["steps"]}


async def failed_run(server: LiveServer, model: LeftModel) -> str:
    """A run whose first step completed, whose second failed, and whose third never started."""
    run_id = await server.start_run()
    model.finish(BA)
    model.fail(QA, ModelError("no answer", permanent=True))
    assert (await server.watched(run_id))[-1]["payload"]["error_code"] == "STEP_FAILED"
    return run_id


async def test_cancelled_run_ends_at_once_for_every_viewer(server: LiveServer, model: LeftModel) -> None:
    """The agent is interrupted; viewers on both transports get the ends of all steps and who cancelled, no more."""
    run_id = await server.start_run()
    model.finish(BA)
    await model.asked[QA].wait()
    async with server.socket() as socket, server.events(run_id) as stream, asyncio.timeout(6):
        await socket.send({"op": "subscribe", "run_id": run_id})
        status, run = await post(server, run_id, "cancel")
        by_socket = await socket.events_until()
        by_stream = [json.loads(event.data) async for event in stream]
        await model.left[QA].wait()
    assert (status, run["status"], run["error_code"]) == (200, "cancelled", "CANCELLED")
    assert run["cancelled_by"] == server.home.user.id
    assert statuses(run) == {BA: "completed", QA: "cancelled", AUTOMATION: "cancelled"}
    assert [event["payload"] for event in by_socket] == [event["payload"] for event in by_stream]
    assert [event["id"] for event in by_socket] == list(range(1, run["last_event_id"] + 1))
    running, queued, ended = (event["payload"] for event in by_socket[-3:])
    assert [step["error_code"] for step in (running, queued)] == ["STEP_CANCELLED"] * 2
    assert [step["message"] for step in (running, queued)] == [
        "not finished: the run was cancelled",
        "not started: the run was cancelled",
    ]
    assert (ended["all_done"], ended["error"], ended["error_code"]) == (True, True, "CANCELLED")
    assert ended["cancelled_by"] == server.home.user.id
    assert [event["id"] for event in await server.log(run_id)] == [event["id"] for event in by_socket]


async def test_artifacts_of_a_cancelled_run_stay(server: LiveServer, model: LeftModel) -> None:
    """What finished steps left behind can be read after the cancel."""
    run_id = await server.start_run()
    model.finish(BA)
    await model.asked[QA].wait()
    await post(server, run_id, "cancel")
    artifacts = (await server.http.get(f"{server.project}/artifacts", params={"run_id": run_id})).json()["artifacts"]
    assert [artifact["agent_type"] for artifact in artifacts] == [BA]


async def test_cancel_of_an_ended_run_answers_with_it_as_it_ended(server: LiveServer, model: LeftModel) -> None:
    """A cancelled run stays the first canceller's, a completed one completed; neither log grows."""
    cancelled, completed = await server.start_run([BA]), await server.start_run([QA])
    model.finish(QA)
    await server.watched(completed)
    _, first = await post(server, cancelled, "cancel")
    headers = {"Authorization": f"Bearer {await server.user_with_role('admin')}"}
    status, second = await post(server, cancelled, "cancel", headers=headers)
    assert (status, without_clock(second)) == (200, without_clock(first))
    status, run = await post(server, completed, "cancel")
    assert (status, run["status"], run["cancelled_by"]) == (200, "completed", None)
    assert run["last_event_id"] == len(await server.log(completed))


async def test_run_that_waits_for_room_is_cancelled_before_it_starts(tmp_path: Path, model: LeftModel) -> None:
    """A queued run ends with its steps not started, and its turn never comes."""
    async with live_server(tmp_path / "home", model, max_runs_at_once=1) as server:
        first, second = await server.start_run([BA]), await server.start_run([QA])
        await model.asked[BA].wait()
        _, run = await post(server, second, "cancel")
        assert (run["status"], run["started_at"], statuses(run)) == ("cancelled", None, {QA: "cancelled"})
        model.finish(BA)
        await server.watched(first)
        third = await server.start_run([AUTOMATION])
        await model.asked[AUTOMATION].wait()
        assert not model.asked[QA].is_set()
        await post(server, third, "cancel")


@pytest.mark.parametrize("deed", ["cancel", "retry"])
async def test_run_that_is_not_there_is_404(server: LiveServer, deed: str) -> None:
    """An absent run and another project's are not found, in equal words; an id that is none is 400."""
    other = await server.home.store.accounts.ensure_project(server.home.user.tenant, "other", "Other")
    foreign = (await seed_run(server, other.id)).id
    answers = [await post(server, run_id, deed) for run_id in (NOBODYS_RUN, foreign)]
    assert answers == [(404, {"error": "RUN_NOT_FOUND", "message": "There is no such run."})] * 2
    status, body = await post(server, "17", deed)
    assert (status, body["error"]) == (400, "INVALID_ID")


async def test_retry_reuses_what_completed_and_runs_the_rest(server: LiveServer, model: LeftModel) -> None:
    """The new run names the old one; its first step is complete at once with the old artifact, the others run."""
    old = await server.snapshot(await failed_run(server, model))
    answer = await server.http.post(f"{server.project}/agent-runs/{old['id']}/retry")
    new = answer.json()
    assert (answer.status_code, new["retry_of"]) == (201, old["id"])
    assert answer.headers["Location"] == f"{server.project}/agent-runs/{new['id']}"
    kept, later = old["steps"][0]["artifact_id"], new["steps"][1:]
    step = new["steps"][0]
    assert (step["status"], step["reused"], step["artifact_id"], step["tokens_used"]) == ("completed", True, kept, 0)
    assert [(step["status"], step["reused"]) for step in later] == [("queued", False)] * 2
    model.finish(QA, AUTOMATION)
    events = await server.watched(new["id"])
    assert [event["type"] for event in events[:4]] == ["queued", "queued", "queued", "complete"]
    assert (events[3]["payload"]["reused"], events[3]["payload"]["artifact_id"]) == (True, kept)
    assert events[-1]["payload"]["all_done"]
    assert (await server.snapshot(new["id"]))["status"] == "completed"
    listed = await server.http.get(f"{server.project}/artifacts", params={"run_id": new["id"]})
    assert {artifact["agent_type"] for artifact in listed.json()["artifacts"]} == set(ALL_AGENTS)
    assert without_clock(await server.snapshot(old["id"])) == without_clock(old)


async def test_run_that_did_not_fail_is_not_retried(server: LiveServer, model: LeftModel) -> None:
    """A run under way and one that completed are refused with 409, and the message says what it is."""
    run_id = await server.start_run([BA])
    status, body = await post(server, run_id, "retry")
    assert (status, body["error"]) == (409, "NOT_RETRIABLE")
    model.finish(BA)
    await server.watched(run_id)
    status, body = await post(server, run_id, "retry")
    assert (status, body["error"]) == (409, "NOT_RETRIABLE")
    assert "completed" in body["message"]


async def test_retry_with_an_id_is_idempotent(server: LiveServer, model: LeftModel) -> None:
    """The same id again answers with the same run; the id of another run is a conflict."""
    old, retry_id = await failed_run(server, model), str(uuid4())
    first = await post(server, old, "retry", json={"run_id": retry_id})
    second = await post(server, old, "retry", json={"run_id": retry_id})
    assert [(status, run["id"]) for status, run in (first, second)] == [(201, retry_id)] * 2
    taken = await server.start_run([BA])
    status, body = await post(server, old, "retry", json={"run_id": taken})
    assert (status, body["error"]) == (409, "RUN_ID_CONFLICT")


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"run_id":"17"}', b'{"agents":[]}'])
async def test_retry_with_a_body_that_is_none_is_400(server: LiveServer, model: LeftModel, content: bytes) -> None:
    """What stands in the body is checked, and nothing is started where it is wrong."""
    old = await failed_run(server, model)
    status, body = await post(server, old, "retry", content=content)
    assert (status, body["error"]) == (400, "BAD_REQUEST")
    assert len((await server.http.get(f"{server.project}/agent-runs")).json()["runs"]) == 1


async def test_retry_without_documents_or_tokens_is_refused(tmp_path: Path) -> None:
    """What a new run needs, a retry needs as well: documents (400) and tokens (402)."""
    async with live_server(tmp_path / "home", GatedModel(), monthly_tokens=0) as server:
        run = await seed_run(server)
        await run.finish()
        status, body = await post(server, run.id, "retry")
        assert (status, body["error"]) == (402, "BUDGET_EXCEEDED")
        (document,) = (await server.http.get(f"{server.project}/documents")).json()["documents"]
        await server.http.delete(f"{server.project}/documents/{document['id']}")
        status, body = await post(server, run.id, "retry")
        assert (status, body["error"]) == (400, "NO_DOCUMENTS")


async def test_client_cancels_and_retries(server: LiveServer, model: LeftModel) -> None:
    """``RunClient`` finds the run's project by itself, and gives snapshots with who cancelled and what is retried."""
    async with RunClient(server.url, server.token) as client:
        run = await client.start_run([BA])
        cancelled = await client.cancel_run(run.id)
        assert (cancelled.status, cancelled.cancelled_by) == ("cancelled", server.home.user.id)
        retry_id = str(uuid4())
        again = await client.retry_run(run.id, retry_id=retry_id)
        assert (again.id, again.retry_of) == (retry_id, run.id)
        with pytest.raises(ServerRefusedError) as refused:
            await client.retry_run(again.id, again.project_id)
        assert (refused.value.code, refused.value.status) == ("NOT_RETRIABLE", 409)
        for ask in (client.cancel_run, client.retry_run):
            with pytest.raises(RunNotFoundError):
                await ask(NOBODYS_RUN)
        model.finish(BA)
        assert [event async for event in client.watch(again.id)][-1].terminal
