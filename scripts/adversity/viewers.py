"""Viewers of bare cursors: each says what it has, and counts what the server makes of that.

They share nothing with `realtime.client`, so that no cleverness of the client can hide a mistake of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import websockets
from raw_peer import SseEvent, raw_http

PATIENCE_S = 6.0
"""Three heartbeats of the servers here: a connection that is silent for longer is taken as lost."""

LONGEST_PAUSE_S = 0.3
"""Between two connections."""

COME_LATER = frozenset({429, 502, 503})


class RefusedError(Exception):
    """The server will not serve a viewer that it has to serve."""


class Viewer:
    """What one viewer of a run was sent, connection after connection, judged by its own cursor."""

    def __init__(self, run_id: str, kind: str) -> None:
        self.run_id = run_id
        self.kind = kind
        self.payloads: dict[int, str] = {}
        self.cursor = 0
        self.gaps = 0
        self.repeats = 0
        self.resets = 0
        self.connections = 0
        self.ended = False

    def take(self, event_id: int, payload: str) -> None:
        """Count an event that came: it has to be the one after the cursor."""
        if event_id <= self.cursor:
            self.repeats += 1
            return
        self.gaps += event_id - self.cursor - 1
        self.cursor = event_id
        self.payloads[event_id] = payload


Way: TypeAlias = Callable[[Viewer, str, Mapping[str, str]], Awaitable[None]]
"""Watch over one connection to the server at a URL, until that breaks or the run is over."""


async def by_socket(viewer: Viewer, url: str, headers: Mapping[str, str]) -> None:
    """Watch over a WebSocket."""
    address = url.replace("http", "ws", 1) + "/api/v1/ws"
    async with websockets.connect(
        address,
        subprotocols=[websockets.Subprotocol("runcast.v1")],
        additional_headers=headers,
        open_timeout=PATIENCE_S,
        close_timeout=LONGEST_PAUSE_S,
        ping_interval=None,
        proxy=None,
    ) as socket:
        viewer.connections += 1
        subscribe = {"op": "subscribe", "run_id": viewer.run_id, "last_event_id": viewer.cursor}
        await socket.send(json.dumps(subscribe))
        while not viewer.ended:
            async with asyncio.timeout(PATIENCE_S):
                _take_frame(viewer, str(await socket.recv()))


async def by_stream(viewer: Viewer, url: str, headers: Mapping[str, str]) -> None:
    """Watch over SSE."""
    path = f"/api/v1/events/agent-runs/{viewer.run_id}"
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(PATIENCE_S):
            asked = {**headers, "Last-Event-ID": str(viewer.cursor)}
            stream = await stack.enter_async_context(raw_http(url, path, asked))
        if stream.status in COME_LATER:
            return
        if stream.status not in {200, 204}:
            raise RefusedError(f"a stream was answered with status {stream.status}: {stream.head!r}")
        viewer.connections += 1
        while True:
            async with asyncio.timeout(PATIENCE_S):
                event = None if stream.status == 204 else await stream.event(heartbeats=True)
            if event is None:
                viewer.ended = stream.status == 204
                return
            _take_event(viewer, event)


WAYS: Mapping[str, Sequence[Way]] = {
    "socket": [by_socket],
    "stream": [by_stream],
    "changing": [by_socket, by_stream],
}
"""How each kind of viewer connects, one connection after the other."""

BREAKS = (OSError, EOFError, TimeoutError, websockets.WebSocketException)
"""How a connection ends that a network or a dead server has broken."""


async def watch(viewer: Viewer, url: str, headers: Mapping[str, str], draw: random.Random) -> None:
    """Watch the run to its end, over as many connections as that takes.

    Raises:
        RefusedError: the server says no, where it has to say yes.

    """
    for way in itertools.cycle(WAYS[viewer.kind]):
        await asyncio.sleep(draw.uniform(0, LONGEST_PAUSE_S))
        with contextlib.suppress(*BREAKS):
            await way(viewer, url, headers)
        if viewer.ended:
            return


def _take_frame(viewer: Viewer, text: str) -> None:
    frame: dict[str, Any] = json.loads(text)
    match frame.get("op"):
        case None if "id" in frame:
            viewer.take(frame["id"], payload_of(text))
        case "reset":
            viewer.resets += 1
            viewer.cursor = frame["cursor"]
        case "finished":
            viewer.ended = True
        case "error":
            raise RefusedError(f"a socket was told {text}")


def _take_event(viewer: Viewer, event: SseEvent) -> None:
    if event.data["type"] == "heartbeat":
        return
    viewer.resets += "reset" in event.data["payload"]
    if event.id is not None:
        viewer.take(event.id, payload_of(event.raw.decode().strip()))


def payload_of(text: str) -> str:
    """The payload's JSON text as it stands in a frame, or in a data line."""
    return text.partition('"payload":')[2][:-1]
