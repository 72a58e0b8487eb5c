"""What carries a stream to a viewer: HTTP/1.1, 1.0 and 2. Strict about framing; reads only when asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

import h11
from contracts.wires.connections import Connection
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

Header = tuple[str, str]


class Carrier(Protocol):
    """One request and what is answered to it."""

    status: int
    ended: bool
    """True once the wire itself has said that nothing follows."""

    async def read(self) -> bytes:
        """What comes next; empty when nothing follows."""
        ...

    async def send(self, data: bytes) -> None:
        """Send more of the request's body."""
        ...


class Http1:
    """A connection that speaks HTTP/1.1, or tells the server 1.0; a WebSocket after it was upgraded."""

    def __init__(self, connection: Connection, version: str = "1.1") -> None:
        self.status = 0
        self.ended = False
        self._connection = connection
        self._version = version
        self._h11 = h11.Connection(h11.CLIENT)

    async def ask(self, path: str, headers: Iterable[Header]) -> None:
        """Send a request and read the head of its answer."""
        said = self._h11.send(h11.Request(method="GET", target=path, headers=[("Host", "localhost"), *headers]))
        assert said is not None
        await self.send(said.replace(b"HTTP/1.1\r\n", f"HTTP/{self._version}\r\n".encode(), 1))
        self._h11.send(h11.EndOfMessage())
        head = await self._event()
        assert isinstance(head, h11.Response | h11.InformationalResponse), head
        self.status = head.status_code

    async def ask_again(self, path: str, headers: Iterable[Header]) -> None:
        """Send the next request on the connection, whose answer before has ended."""
        self._h11.start_next_cycle()
        self.ended = False
        await self.ask(path, headers)

    async def read(self) -> bytes:
        """What comes next; empty when nothing follows."""
        if self.status == 101:
            early, _ = self._h11.trailing_data
            if early and not self.ended:
                self.ended = True  # of HTTP: what follows is no longer its
                return bytes(early)
            return await self._connection.receive()
        if self.ended:
            return b""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        self.ended = isinstance(event, h11.EndOfMessage)
        return b""

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._connection.send(data)

    async def read_to_eof(self) -> None:
        """Return when the server has closed the connection; the test fails for a byte after the end of its answer."""
        assert isinstance(await self._event(), h11.ConnectionClosed)

    async def _event(self) -> object:
        """The next event of h11; one that the connection is closed, where it ended in the middle of an answer."""
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            data = await self._connection.receive()
            try:
                self._h11.receive_data(data)
                if not data:
                    return self._h11.next_event()
            except h11.RemoteProtocolError:
                if data:
                    raise
                return h11.ConnectionClosed()
        return event


class Http2:
    """One stream of a connection that speaks HTTP/2; the server may send as much as was read."""

    STREAM = 1

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.ended = False
        self._connection = connection
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._waiting: list[DataReceived] = []
        self._cut = False

    async def ask(self, path: str, headers: Iterable[Header]) -> None:
        """Open the stream, for a WebSocket where there is ``:protocol``, and read the head of the answer."""
        self._h2.initiate_connection()
        while SettingCodes.ENABLE_CONNECT_PROTOCOL not in self._h2.remote_settings:
            await self._exchange()
        said = dict(headers)
        method = "CONNECT" if ":protocol" in said else "GET"
        head = {":method": method, ":scheme": "https", ":path": path, ":authority": "localhost"}
        self._h2.send_headers(self.STREAM, [*{**head, **said}.items()], end_stream=method == "GET")
        while not self.status:
            await self._exchange()

    async def read(self) -> bytes:
        """What comes next; empty when nothing follows."""
        while not self._waiting:
            if self.ended or self._cut:
                return b""
            await self._exchange()
        came = self._waiting.pop(0)
        self._h2.acknowledge_received_data(came.flow_controlled_length, self.STREAM)
        await self._flush()
        return came.data

    async def send(self, data: bytes) -> None:
        """Send bytes on the stream, as fast as the server takes them."""
        while data:
            room = min(self._h2.local_flow_control_window(self.STREAM), self._h2.max_outbound_frame_size)
            if room:
                self._h2.send_data(self.STREAM, data[:room])
                data = data[room:]
                await self._flush()
            else:
                await self._exchange()

    async def _exchange(self) -> None:
        await self._flush()
        data = await self._connection.receive()
        self._cut = not data
        for event in self._h2.receive_data(data):
            match event:
                case ResponseReceived():
                    self.status = int(dict(event.headers or ())[b":status"])
                case DataReceived():
                    self._waiting.append(event)
                case StreamEnded():
                    self.ended = True
                case StreamReset() | ConnectionTerminated():
                    self._cut = True
        await self._flush()

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            with contextlib.suppress(OSError):  # the server may have closed after what is still to be read
                await self._connection.send(data)
