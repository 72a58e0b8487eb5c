"""A server on a real socket that plays one script per connection: what the real one never does, byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from realtime.client import Reset, RunEvent

RUN = "11111111-2222-4333-8444-555555555555"
PROJECT = "99999999-2222-4333-8444-555555555555"


class Peer:
    """One connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request: Request
        self.closed = asyncio.Event()
        self.close_code: int | None = None
        self._protocol = ServerProtocol(subprotocols=["runcast.v1"])
        self._reader = reader
        self._writer = writer
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._requested = asyncio.Event()

    async def listen(self) -> None:
        """Take in what the client sends until it goes."""
        try:
            while data := await self._reader.read(65536):
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    if isinstance(event, Request):
                        self.request = event
                        self._requested.set()
                    elif isinstance(event, Frame) and event.opcode == 1:
                        self._heard.put_nowait(json.loads(event.data))
                if self.request.headers.get("Upgrade"):
                    self._flush()
                if self._protocol.close_rcvd is not None:
                    self.close_code = self._protocol.close_rcvd.code
                    self._writer.close()
        except ConnectionError:
            pass
        self.closed.set()

    async def head(self) -> Request:
        """The client's request, once it has come."""
        await self._requested.wait()
        return self.request

    async def accept(self, subprotocol: str | None = "runcast.v1") -> None:
        """Complete the WebSocket handshake."""
        response = self._protocol.accept(self.request)
        if subprotocol is None:
            response.headers.pop("Sec-WebSocket-Protocol", None)
        self._protocol.send_response(response)
        self._flush()

    async def hear(self) -> dict[str, Any]:
        """The client's next frame."""
        return await self._heard.get()

    def say(self, *frames: dict[str, Any] | str) -> None:
        """Send WebSocket text messages."""
        for frame in frames:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            self._protocol.send_text(text.encode())
        self._flush()

    def ping(self) -> None:
        """Send a WebSocket ping."""
        self._protocol.send_ping(b"?")
        self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake."""
        self._protocol.send_close(code, reason)
        self._flush()

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    def cut(self) -> None:
        """Let the connection go without a word."""
        self._writer.transport.abort()

    def answer(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        """Send one whole HTTP response and end the connection."""
        lines = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.raw(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body)
        self._writer.close()

    def stream(self, kind: str = "text/event-stream") -> None:
        """Send the head of a response that goes on."""
        self.raw(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def part(self, text: str) -> None:
        """Send one chunk of that response."""
        data = text.encode()
        self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        """End that response properly."""
        self.raw(b"0\r\n\r\n")
        self._writer.close()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)


Script = Callable[[Peer], Awaitable[None]]


class Stage:
    """Plays ``scripts`` in the order in which connections arrive; what a script raises comes out at the end."""

    def __init__(self, *scripts: Script) -> None:
        self.peers: list[Peer] = []
        self._scripts = list(scripts)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for peer in self.peers:
            peer.cut()
        for task in self._tasks:
            if not task.done():
                task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        raised = [result for result in results if isinstance(result, Exception)]
        if raised and error is None:
            raise raised[0]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        listening = asyncio.ensure_future(peer.listen())
        self._tasks.append(listening)
        if not self._scripts:
            peer.cut()
            raise AssertionError(f"connection {len(self.peers)} was not expected")
        script = self._scripts.pop(0)
        playing = asyncio.ensure_future(self._play(script, peer))
        self._tasks.append(playing)

    async def _play(self, script: Script, peer: Peer) -> None:
        await peer.head()
        await script(peer)


def event(number: int, type: str = "running", **payload: Any) -> dict[str, Any]:
    """An event of the run as it goes over WebSocket."""
    return {"id": number, "type": type, "run_id": RUN, "payload": payload}


def last(number: int) -> dict[str, Any]:
    """The terminal event."""
    return event(number, "complete", run_id=RUN, all_done=True)


def sse(frame: dict[str, Any], with_id: bool = True) -> str:
    """The same event as it goes over SSE."""
    body = {name: value for name, value in frame.items() if name != "id"}
    return (f"id: {frame['id']}\n" if with_id and "id" in frame else "") + f"data: {json.dumps(body)}\n\n"


def snapshot(head: int, status: str = "running") -> dict[str, Any]:
    """The run as of ``head``."""
    return {
        "id": RUN,
        "project_id": PROJECT,
        "status": status,
        "pipeline_mode": "sequential",
        "agents_selected": ["ba_consultant"],
        "steps": [],
        "last_event_id": head,
        "total_tokens": 0,
        "error_code": None,
        "error_message": None,
        "started_by": "u",
        "created_at": "2026-02-28T09:30:00.000Z",
        "started_at": None,
        "completed_at": None if status == "running" else "2026-02-28T09:31:00.000Z",
        "server_time": "2026-02-28T09:31:00.000Z",
    }


WELCOME = {"op": "welcome", "heartbeat_s": 15, "limits": {}, "server_time": "2026-02-28T09:30:00.000Z"}


def subscribed(cursor: int = 0, head: int | None = None) -> dict[str, Any]:
    """The answer to ``subscribe``."""
    head = cursor if head is None else head
    return {
        "op": "subscribed",
        "run_id": RUN,
        "snapshot": snapshot(head),
        "cursor": cursor,
        "head": head,
        "resumed": True,
    }


async def attach(peer: Peer, cursor: int = 0, head: int | None = None) -> dict[str, Any]:
    """Accept a WebSocket and its subscription; the client's ``subscribe`` frame."""
    await peer.accept()
    peer.say(WELCOME)
    frame = await peer.hear()
    peer.say(subscribed(cursor, head))
    return frame


async def collect(items: AsyncIterator[RunEvent | Reset]) -> list[int]:
    """The ids of everything that comes."""
    return [item.id async for item in items]


@contextmanager
def nobody() -> Iterator[str]:
    """An address where nobody listens: it is kept from those who might."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{kept.getsockname()[1]}"
