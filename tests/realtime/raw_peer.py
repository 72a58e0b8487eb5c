"""Clients of bare bytes: what a polite library hides, such as a cut, a peer that stops reading, or a missing pong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import websockets
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri


class SseEvent(NamedTuple):
    """One server-sent event: its id where it has one, its data, and its bytes as they came."""

    id: int | None
    data: dict[str, Any]
    raw: bytes


class RawHttp:
    """One HTTP/1.1 request on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head = b""
        self._reader = reader
        self._writer = writer
        self._body = b""

    async def read_head(self) -> None:
        """Read the status line and the headers."""
        self.head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = self.head.decode().strip().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    async def chunk(self) -> bytes:
        """The next chunk of the body; empty at its proper end.

        Raises:
            asyncio.IncompleteReadError: the connection ended in the middle.

        """
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        data = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return data

    async def block(self) -> bytes | None:
        """The next part of the body up to and with a blank line; None at the proper end."""
        while b"\n\n" not in self._body:
            if not (data := await self.chunk()):
                assert not self._body, f"the stream ended inside an event: {self._body!r}"
                return None
            self._body += data
        block, _, self._body = self._body.partition(b"\n\n")
        return block + b"\n\n"

    async def event(self, *, heartbeats: bool = False) -> SseEvent | None:
        """The next event; None at the proper end of the stream."""
        while (raw := await self.block()) is not None:
            fields = [line.partition(": ")[::2] for line in raw.decode().split("\n") if line]
            data = "\n".join(value for name, value in fields if name == "data")
            if not data:
                continue
            event_id = next((int(value) for name, value in fields if name == "id"), None)
            event = SseEvent(event_id, json.loads(data), raw)
            if heartbeats or event.data["type"] != "heartbeat":
                return event
        return None

    async def events(self) -> list[SseEvent]:
        """Every event up to the proper end of the stream."""
        events = []
        while (event := await self.event()) is not None:
            events.append(event)
        return events

    async def body(self) -> bytes:
        """The whole body, where its length is known or the connection ends with it."""
        length = self.headers.get("content-length")
        return await (self._reader.read() if length is None else self._reader.readexactly(int(length)))

    async def send(self, data: bytes) -> None:
        """Send more of the request's body."""
        self._writer.write(data)
        await self._writer.drain()

    def cut(self) -> None:
        """Let the connection go without a word."""
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_http(
    url: str,
    path: str,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    body: bytes = b"",
    parts: Iterable[bytes] = (),
    version: str = "1.1",
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[RawHttp]:
    """The answer to one request, its head read; ``parts`` of a body are sent as the server takes them."""
    host = urlsplit(url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port, ssl=ssl_context)
    lines = {"Host": host.netloc, **headers}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    try:
        writer.write(f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode() + body)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = RawHttp(reader, writer)
        await answer.read_head()
        yield answer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class RawSocket:
    """A WebSocket that reads only when told to, and answers pings only if told to."""

    def __init__(self, connection: socket.socket, protocol: ClientProtocol, *, answers: bool) -> None:
        self.pings = 0
        self._connection = connection
        self._protocol = protocol
        self._answers = answers
        self._frames: list[Frame | Response] = []

    async def read(self) -> Frame | Response | None:
        """The next frame (a response first), pings and pongs counted and left out; None: the connection ended."""
        loop = asyncio.get_running_loop()
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if not isinstance(frame, Frame) or frame.opcode not in {Opcode.PING, Opcode.PONG}:
                    return frame
                self.pings += frame.opcode is Opcode.PING
            try:
                data = await loop.sock_recv(self._connection, 65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._protocol.receive_data(data)
            self._frames += [event for event in self._protocol.events_received() if not _is_request(event)]
            if self._answers:
                await self.flush()

    async def read_json(self) -> dict[str, Any] | None:
        """The next text frame; None: the connection ended or is being closed."""
        frame = await self.read()
        if not isinstance(frame, Frame) or frame.opcode is Opcode.CLOSE:
            return None
        return dict(json.loads(frame.data))

    async def send(self, frame: dict[str, Any] | bytes) -> None:
        """Send one text frame, or bytes as they are."""
        if isinstance(frame, bytes):
            await asyncio.get_running_loop().sock_sendall(self._connection, frame)
            return
        self._protocol.send_text(json.dumps(frame).encode())
        await self.flush()

    async def flush(self) -> None:
        """Send what the protocol has to send."""
        loop = asyncio.get_running_loop()
        for data in self._protocol.data_to_send():
            if data:
                await loop.sock_sendall(self._connection, data)

    def cut(self) -> None:
        """Reset the connection."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()


def _is_request(event: object) -> bool:
    return not isinstance(event, Frame | Response)


@contextlib.asynccontextmanager
async def raw_socket(
    url: str, headers: Mapping[str, str], *, answers: bool = True, receive_buffer: int | None = None
) -> AsyncIterator[RawSocket]:
    """A WebSocket connection of bare bytes, past its handshake."""
    uri = parse_uri(url)
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (uri.host, uri.port))
        protocol = ClientProtocol(uri, subprotocols=[websockets.Subprotocol("runcast.v1")], max_size=None)
        request = protocol.connect()
        request.headers.update(headers)
        protocol.send_request(request)
        raw = RawSocket(connection, protocol, answers=answers)
        await raw.flush()
        assert isinstance(await raw.read(), Response)
        yield raw
    finally:
        connection.close()
