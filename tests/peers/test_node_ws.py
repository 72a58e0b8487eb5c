"""Node's ``ws`` reads the WebSocket, with the compression that it offers by default."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live import LiveServer
from peers.following import follow
from peers.node_viewer import node_viewer
from seeded import SeededRun

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_node_on_a_live_run_gets_each_event_as_it_happens(server: LiveServer, run: SeededRun) -> None:
    """No event waits for the next one, large ones and all of Unicode arrive whole; then ``finished``, close 1000."""
    async with node_viewer(server) as viewer:
        assert "permessage-deflate" in viewer.offered
        await viewer.subscribe(run.id)
        arrived = await follow(run, viewer.frame)
        assert await viewer.frame() == {"op": "finished", "run_id": run.id}
        assert await viewer.close() == 1000
    assert arrived == await server.log(run.id)


async def test_node_pings_between_live_events_are_answered(server: LiveServer, run: SeededRun) -> None:
    """Event, ping, pong, event: the pong has what the ping had, and neither damages the other."""
    async with node_viewer(server) as viewer:
        await viewer.subscribe(run.id)
        arrived = [await viewer.frame()]
        for number in range(10):
            await viewer.do(ping=f"ping {number}")
            assert await viewer.heard() == {"pong": f"ping {number}"}
            await run.progress(str(number))
            arrived.append(await viewer.frame())
        assert await viewer.close() == 1000
    assert arrived == await server.log(run.id)


async def test_node_pings_in_a_burst_are_answered(server: LiveServer, run: SeededRun) -> None:
    """Pongs get in between events that are sent at the same time, never into one; the last ping has its own."""
    events: list[dict[str, Any]] = []
    pongs: list[str] = []
    async with node_viewer(server) as viewer:
        await viewer.subscribe(run.id)
        saved = await run.save(*[run.running("é" * 5_000) for _ in range(300)])
        for number in range(10):
            await viewer.do(ping=str(number))
        run.publish(saved)
        while len(events) <= len(saved) or pongs[-1:] != ["9"]:
            said = await viewer.heard()
            if "pong" in said:
                pongs.append(said["pong"])
            else:
                events.append(json.loads(said["message"]))
        assert await viewer.close() == 1000
    assert events == await server.log(run.id)
