"""WebSocket connections whose every frame, from the first to the close, is the test's business."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import websockets
from live import ALL_AGENTS, GatedModel, LiveServer, LiveSocket


@contextlib.asynccontextmanager
async def bare_socket(server: LiveServer, **options: Any) -> AsyncIterator[LiveSocket]:
    """A connection that brings no identity unless ``options`` do, before anything was received."""
    async with websockets.connect(server.ws_url, subprotocols=["runcast.v1"], **options) as connection:
        yield LiveSocket(connection)


async def rest_of(socket: LiveSocket) -> tuple[list[dict[str, Any]], int | None]:
    """Everything that still comes, and the code with which the server closes."""
    frames = []
    try:
        while True:
            frames.append(await socket.receive())
    except websockets.ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


def subscribe(run_id: str, **more: Any) -> dict[str, Any]:
    """The command to watch a run."""
    return {"op": "subscribe", "run_id": run_id, **more}


async def finished_run(server: LiveServer, model: GatedModel) -> str:
    """A run that went to its end."""
    run_id = await server.start_run()
    model.finish(*ALL_AGENTS)
    async with server.events(run_id) as stream:
        assert [event async for event in stream]
    return run_id
