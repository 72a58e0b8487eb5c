"""The whole way once: a run is started over REST and watched over WebSocket and SSE."""

from __future__ import annotations

import json

from live import ALL_AGENTS, GatedModel, LiveServer


async def test_run_watched_live_reaches_every_viewer_alike(server: LiveServer, model: GatedModel) -> None:
    """A WebSocket viewer and an SSE viewer get the log as it is stored, ids 1…n, and the stream ends."""
    run_id = await server.start_run()
    async with server.socket() as socket, server.events(run_id) as stream:
        subscribed = await socket.ask({"op": "subscribe", "run_id": run_id, "ref": "a"})
        assert (subscribed["op"], subscribed["ref"], subscribed["resumed"]) == ("subscribed", "a", False)
        model.progress("ba_consultant", 40, "Reading")
        model.finish(*ALL_AGENTS)
        over_socket = await socket.events_until()
        over_sse = [{"id": int(event.id), **json.loads(event.data)} async for event in stream]
    log = await server.log(run_id)
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))
    assert over_socket == over_sse == log
    assert log[-1]["payload"]["all_done"] is True
    assert (await server.snapshot(run_id))["status"] == "completed"
