"""A WebSocket over one stream of HTTP/2, as RFC 8441 has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded
from live import LiveServer
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri


class Http2Socket:
    """The client's end; pings are answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        self.status = 0
        self.closed_with = 0
        self._reader = reader
        self._writer = writer
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="ascii"))
        self._frames = ClientProtocol(parse_uri(url), state=State.OPEN)
        self._pending: list[object] = []
        self._may_connect = False
        self._ended = False

    async def connect(self, url: str, headers: dict[str, str]) -> None:
        """Open the stream once the server has said that it takes such; ``status`` is its answer."""
        self._h2.initiate_connection()
        while not self._may_connect:
            await self._exchange()
        parts = urlsplit(url)
        head = {":method": "CONNECT", ":protocol": "websocket", ":scheme": parts.scheme, ":path": "/api/v1/ws"}
        versions = {"sec-websocket-version": "13", "sec-websocket-protocol": "runcast.v1"}
        self._h2.send_headers(1, [*{**head, ":authority": parts.netloc, **versions, **headers}.items()])
        while not self.status:
            await self._exchange()

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one text frame."""
        self._frames.send_text(json.dumps(frame).encode())
        await self._send()

    async def receive(self) -> dict[str, Any] | None:
        """The next text frame that is no heartbeat; None once the stream has ended, ``closed_with`` its code."""
        while True:
            self._pending += self._frames.events_received()
            while self._pending:
                frame = self._pending.pop(0)
                assert isinstance(frame, Frame)
                if frame.opcode is Opcode.CLOSE:
                    self.closed_with = int.from_bytes(frame.data[:2], "big")
                elif frame.opcode is Opcode.TEXT and (said := json.loads(frame.data)).get("type") != "heartbeat":
                    return dict(said)
            if self._ended:
                return None
            await self._exchange()

    async def _exchange(self) -> None:
        """Send what there is to send, then read once."""
        await self._send()
        data = await self._reader.read(65536)
        self._ended = self._ended or not data
        for event in self._h2.receive_data(data):
            if isinstance(event, RemoteSettingsChanged):
                self._may_connect = bool(self._h2.remote_settings.enable_connect_protocol)
            elif isinstance(event, ResponseReceived):
                self.status = int(dict(event.headers)[":status"])
            elif isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, 1)
                self._frames.receive_data(event.data)
            elif isinstance(event, StreamEnded):
                self._ended = True
        await self._send()

    async def _send(self) -> None:
        for data in self._frames.data_to_send():
            self._h2.send_data(1, data, end_stream=not data)
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()


@contextlib.asynccontextmanager
async def http2_socket(server: LiveServer, trust: ssl.SSLContext, **headers: str) -> AsyncIterator[Http2Socket]:
    """A WebSocket of the local user over HTTP/2, its handshake answered."""
    parts = urlsplit(server.url)
    trust.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=trust)
    try:
        socket = Http2Socket(reader, writer, server.ws_url)
        await socket.connect(server.url, headers or {"authorization": f"Bearer {server.token}"})
        yield socket
    finally:
        writer.transport.abort()
