"""A run whose log is gone, over every transport and from every cursor: its state, its terminal event, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from both_databases import database_url, server
from live import ALL_AGENTS, GatedModel, LiveServer
from raw_peer import raw_http
from seeded import all_gone

from orchestrator.errors import ModelError
from realtime.client import Reset, RunClient, Transport

__all__ = ["database_url", "server"]

BA, QA, AUTOMATION = ALL_AGENTS


async def succeed(server: LiveServer, model: GatedModel) -> str:
    """A run that completed."""
    run_id = await server.start_run()
    model.finish(*ALL_AGENTS)
    await server.watched(run_id)
    return run_id


async def fail(server: LiveServer, model: GatedModel) -> str:
    """A run that failed at its second step."""
    run_id = await server.start_run()
    model.finish(BA)
    model.fail(QA, ModelError("no answer", permanent=True))
    await server.watched(run_id)
    return run_id


async def cancel(server: LiveServer, model: GatedModel) -> str:
    """A run that was cancelled at its second step."""
    run_id = await server.start_run()
    model.finish(BA)
    await model.asked[QA].wait()
    assert (await server.http.post(f"{server.project}/agent-runs/{run_id}/cancel")).status_code == 200
    return run_id


async def prune(server: LiveServer, run_id: str) -> list[dict[str, Any]]:
    """Take the run's log; what it was."""
    log = await server.log(run_id)
    async with asyncio.timeout(30):
        while run_id not in await server.home.store.drop_logs(server.home.user.tenant, 0):
            pass  # it ended in this very millisecond
    assert await server.log(run_id) == []
    return log


End = Callable[[LiveServer, GatedModel], Awaitable[str]]
ENDS = [succeed, fail, cancel]


def cursors(head: int) -> dict[str, tuple[int | str | None, str]]:
    """Cursors of every kind, and why each is reset."""
    return {
        "none": (None, "log_expired"),
        "start": (0, "log_expired"),
        "middle": (head // 2, "log_expired"),
        "before the head": (head - 1, "log_expired"),
        "beyond": (head + 1, "cursor_ahead_of_log"),
        "malformed": ("x", "malformed_cursor"),
    }


@pytest.mark.parametrize("end", ENDS)
async def test_pruned_run_over_socket_is_a_reset_its_terminal_event_and_finished(
    server: LiveServer,
    model: GatedModel,
    end: End,
) -> None:
    """Whatever the cursor: the state with a reason, then the end as it stood in the log, and nothing more."""
    run_id = await end(server, model)
    log = await prune(server, run_id)
    shown = await server.snapshot(run_id)
    async with server.socket() as socket:
        for kind, (cursor, reason) in cursors(len(log)).items():
            await socket.send({"op": "subscribe", "run_id": run_id, "last_event_id": cursor, "ref": kind})
            reset = await socket.receive()
            assert (reset["op"], reset["ref"], reset["reason"]) == ("reset", kind, reason)
            assert (reset["cursor"], reset["snapshot"]["last_event_id"]) == (len(log), len(log))
            assert {**reset["snapshot"], "server_time": None} == {**shown, "server_time": None}
            assert await socket.events_until() == log[-1:], kind
        at_head = await socket.ask({"op": "subscribe", "run_id": run_id, "last_event_id": len(log)})
        assert (at_head["op"], at_head["cursor"], at_head["resumed"]) == ("subscribed", len(log), True)
        assert await socket.events_until() == []
        await socket.send({"op": "subscribe", "run_id": run_id, "from": "now"})
        assert [(await socket.receive())["op"] for _ in range(2)] == ["subscribed", "finished"]
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"
    await all_gone(server)


@pytest.mark.parametrize("end", ENDS)
async def test_pruned_run_over_sse_is_a_reset_with_its_terminal_event_and_the_end(
    server: LiveServer,
    model: GatedModel,
    end: End,
) -> None:
    """Whatever the cursor: its state in events without id, the last is the terminal one, with the id of the head."""
    run_id = await end(server, model)
    log = await prune(server, run_id)
    path = f"/api/v1/events/agent-runs/{run_id}"
    for kind, (cursor, reason) in cursors(len(log)).items():
        headers = server.headers if cursor is None else {**server.headers, "Last-Event-ID": str(cursor)}
        async with raw_http(server.url, path, headers) as stream:
            events = await stream.events()
        assert events[0].data["payload"]["reset"] == {"reason": reason, "cursor": len(log)}, kind
        assert [event.id for event in events] == [*[None] * (len(events) - 1), len(log)]
        assert {"id": events[-1].id, **events[-1].data} == log[-1]
    async with raw_http(server.url, path, {**server.headers, "Last-Event-ID": str(len(log))}) as stream:
        assert stream.status == 204
    await all_gone(server)


@pytest.mark.parametrize("transport", list(Transport))
async def test_pruned_run_ends_a_clients_watch(
    server: LiveServer,
    model: GatedModel,
    transport: Transport,
) -> None:
    """``RunClient`` yields one final reset with the state of the run, on either transport."""
    run_id = await succeed(server, model)
    log = await prune(server, run_id)
    async with RunClient(server.url, server.token, transports=[transport]) as client:
        items = [item async for item in client.watch(run_id)]
    (reset,) = items
    assert isinstance(reset, Reset)
    assert (reset.final, reset.id, reset.snapshot.status) == (True, len(log), "completed")
    assert [step.artifact_id is not None for step in reset.snapshot.steps] == [True] * 3


async def test_artifacts_of_a_pruned_run_stay(server: LiveServer, model: GatedModel) -> None:
    """The log dies by age, what agents left behind does not."""
    run_id = await succeed(server, model)
    await prune(server, run_id)
    listed = await server.http.get(f"{server.project}/artifacts", params={"run_id": run_id})
    assert {artifact["agent_type"] for artifact in listed.json()["artifacts"]} == set(ALL_AGENTS)
    for artifact in listed.json()["artifacts"]:
        one = await server.http.get(f"{server.project}/artifacts/{artifact['id']}")
        assert one.json()["content"]


async def test_retry_of_a_pruned_run_needs_no_log(server: LiveServer, model: GatedModel) -> None:
    """Rows and artifacts are all that a retry asks for."""
    run_id = await fail(server, model)
    await prune(server, run_id)
    again = (await server.http.post(f"{server.project}/agent-runs/{run_id}/retry")).json()
    model.finish(QA, AUTOMATION)
    assert (await server.watched(again["id"]))[-1]["payload"]["all_done"]
    assert (await server.snapshot(again["id"]))["status"] == "completed"
