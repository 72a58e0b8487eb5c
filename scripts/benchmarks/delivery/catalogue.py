"""The servers that can be measured: how each is started, and how a viewer comes to watch a run there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delivery.viewers import Opening

SERVERS = Path(__file__).parents[1] / "servers"
ROOT = Path(__file__).parents[3]
BENCH = ROOT / ".bench"
PEER_PYTHON = BENCH / "python" / "bin" / "python"
TRANSPORTS = ("ws", "sse")
MODULES = {"modules": str(BENCH / "node_modules")}

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

Told = Mapping[str, Any]
Open = Callable[[Told, str, int, int | None], Opening]
"""How to watch the run with an index over a transport, from after a cursor or, with None, from what comes next; the
first argument is what the server told of itself."""


def request(told: Told, path: str, headers: Mapping[str, str]) -> bytes:
    """A GET."""
    lines = {"Host": f"127.0.0.1:{told['port']}", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


def open_plain(told: Told, transport: str, run: int, cursor: int | None) -> Opening:
    """The path says everything; there is no cursor to give."""
    del cursor
    headers = UPGRADE if transport == "ws" else {"Accept": "text/event-stream"}
    return Opening(request(told, f"/{transport}/{run}", headers))


def open_ours(told: Told, transport: str, run: int, cursor: int | None) -> Opening:
    """Runcast's own protocol; see docs/protocol.md."""
    run_id = told["runs"][run]
    after = told["heads"][run] if cursor is None else cursor
    identity = {"Authorization": f"Bearer {told['token']}"}
    if transport == "sse":
        headers = {**identity, "Accept": "text/event-stream", "Last-Event-ID": str(after)}
        return Opening(request(told, f"/api/v1/events/agent-runs/{run_id}", headers))
    subscribe = json.dumps({"op": "subscribe", "run_id": run_id, "last_event_id": after}).encode()
    headers = {**identity, **UPGRADE, "Sec-WebSocket-Protocol": "runcast.v1"}
    hears = ((b'"op":"welcome"', None), (b'"op":"subscribed"', None))
    return Opening(request(told, "/api/v1/ws", headers), subscribe, hears)


def open_socketio(told: Told, transport: str, run: int, cursor: int | None) -> Opening:
    """Engine.IO over WebSocket alone, then the default namespace."""
    del transport, run, cursor
    path = "/socket.io/?EIO=4&transport=websocket"
    return Opening(request(told, path, UPGRADE), None, ((b'"sid"', b"40"), (b'40{"sid"', None)))


@dataclass(frozen=True)
class Server:
    """One contestant."""

    name: str
    program: tuple[str, ...]
    open: Open = open_plain
    transports: tuple[str, ...] = TRANSPORTS
    options: Mapping[str, object] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """What `peers.installed` has to have put in place: nginx, npm, python."""
    over_http: bool = False
    """It is published to with POST requests, for want of another way."""


def _python(file: str, python: Path | str = sys.executable) -> tuple[str, ...]:
    return (str(python), str(SERVERS / file))


def _node(file: str) -> tuple[str, ...]:
    return ("node", str(SERVERS / file))


CATALOGUE = {
    server.name: server
    for server in (
        Server("direct", _python("ours.py"), open_ours, options={"outlet": "direct"}),
        Server("asgi", _python("ours.py"), open_ours, options={"outlet": "asgi"}),
        Server("floor", _python("floor.py")),
        Server("nchan", _python("nchan.py"), needs=("nginx",), over_http=True),
        Server("ws", _node("ws.mjs"), transports=("ws",), options=MODULES, needs=("npm",)),
        Server("socketio", _node("socketio.mjs"), open_socketio, transports=("ws",), options=MODULES, needs=("npm",)),
        Server("sse-starlette", _python("fastapi_sse.py", PEER_PYTHON), transports=("sse",), needs=("python",)),
        Server(
            "python-socketio",
            _python("socketio_asgi.py", PEER_PYTHON),
            open_socketio,
            transports=("ws",),
            needs=("python",),
        ),
        Server("quart", _python("quart_queues.py")),
    )
}
