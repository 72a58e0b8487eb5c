"""The streams of one HTTP/2 connection: what ends one leaves the others as they were."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from certificates import Secured
from contracts.wires.viewers import ENDED, StreamViewer, rest_of, take
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from live import LiveServer, live_server
from seeded import seed_run
from tls_stage import address_of, secured, stream_of
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

__all__ = ["secured"]

STEP_S = 30.0
"""Within so many seconds must happen what a test waits for."""
BIG = "x" * 5_000
MANY = 50
"""So many big events are more than an unread stream is sent, which is 64 KiB."""
CONNECT = {":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13"}


class Stream:
    """One stream; ``ended`` and ``reset`` are how the server ended it."""

    def __init__(self, connection: Connection, id: int) -> None:
        self.id = id
        self.status = 0
        self.ended = False
        self.reset = False
        self.came: list[DataReceived] = []
        self._connection = connection

    async def read(self) -> bytes:
        """What comes next, which makes room for more; empty when nothing follows."""
        while not self.came:
            if self.ended or self.reset:
                return b""
            await self._connection.exchange()
        data = self.came.pop(0)
        await self._connection.acknowledge(self.id, data)
        return data.data

    async def send(self, data: bytes) -> None:
        """Send more on it; nothing: that there is no more."""
        await self._connection.send(self.id, data)


class Connection:
    """The client's end. It reads while one of its streams is read, for all of them."""

    def __init__(self, server: LiveServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="ascii"))
        self._streams: dict[int, Stream] = {}

    async def open(self) -> None:
        """Return when the server has said what it takes; all streams together have no bound, one alone has 64 KiB."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**24)
        while SettingCodes.ENABLE_CONNECT_PROTOCOL not in self._h2.remote_settings:
            await self.exchange()

    async def ask(self, path: str, headers: dict[str, str]) -> Stream:
        """Open a stream of the local user and read the head of its answer."""
        stream = Stream(self, self._h2.get_next_available_stream_id())
        self._streams[stream.id] = stream
        head = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": path, **headers}
        identity = ("authorization", f"Bearer {self._server.token}")
        self._h2.send_headers(stream.id, [*head.items(), identity], end_stream=head[":method"] == "GET")
        while not stream.status:
            await self.exchange()
        return stream

    async def exchange(self) -> None:
        """Send what there is to send, then read once."""
        await self._flush()
        data = await self._reader.read(65536)
        assert data, "the server has cut the connection"
        for event in self._h2.receive_data(data):
            match event:
                case ResponseReceived():
                    self._streams[event.stream_id].status = int(dict(event.headers or ())[":status"])
                case DataReceived():
                    self._streams[event.stream_id].came.append(event)
                case StreamEnded():
                    self._streams[event.stream_id].ended = True
                case StreamReset():
                    self._streams[event.stream_id].reset = True
        await self._flush()

    async def acknowledge(self, stream_id: int, data: DataReceived) -> None:
        """Make room for as much as was read."""
        self._h2.acknowledge_received_data(data.flow_controlled_length, stream_id)
        await self._flush()

    async def send(self, stream_id: int, data: bytes) -> None:
        """Send on one stream; nothing: that there is no more."""
        self._h2.send_data(stream_id, data, end_stream=not data)
        await self._flush()

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()


class Socket:
    """A WebSocket on one stream; pings are answered."""

    def __init__(self, stream: Stream, url: str) -> None:
        self._stream = stream
        self._frames = ClientProtocol(parse_uri(url), state=State.OPEN)
        self._came: list[str | int] = []

    async def next(self) -> str | int:
        """The next of what comes: ``ping``, ``heartbeat``, an event's id, a control frame's op; ``end`` at last."""
        while not self._came:
            data = await self._stream.read()
            if not data:
                return "end"
            self._frames.receive_data(data)
            self._came += [_name_of(frame) for frame in self._frames.events_received() if isinstance(frame, Frame)]
            await self._flush()
        return self._came.pop(0)

    async def until(self, *names: str | int) -> None:
        """Read until each of these came, in any order."""
        missing = set(names)
        while missing:
            name = await self.next()
            assert name != "end", f"the stream ended; {missing} had to come"
            missing.discard(name)

    async def send(self, frame: dict[str, object]) -> None:
        """Send one control frame."""
        self._frames.send_text(json.dumps(frame).encode())
        await self._flush()

    async def close(self) -> None:
        """Say goodbye, and return when the server has."""
        self._frames.send_close(1000)
        await self._flush()
        while await self.next() != "end":
            pass

    async def _flush(self) -> None:
        for data in self._frames.data_to_send():
            await self._stream.send(data)


def _name_of(frame: Frame) -> str | int:
    if frame.opcode is not Opcode.TEXT:
        return frame.opcode.name.lower()
    said = json.loads(bytes(frame.data))
    return str(said["op"]) if "op" in said else said.get("id", said["type"])


@contextlib.asynccontextmanager
async def connected(server: LiveServer, secured: Secured) -> AsyncIterator[Connection]:
    """A connection of the local user."""
    trust = secured.trust()
    trust.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(*address_of(server), ssl=trust)
    try:
        connection = Connection(server, reader, writer)
        await connection.open()
        yield connection
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def served(home: Path, secured: Secured, **settings: float) -> AsyncIterator[LiveServer]:
    """A server over https."""
    async with live_server(home, ssl_context=secured.trust(), **secured.settings, **settings) as server:
        yield server


@pytest.mark.parametrize("leaving", [0, 1], ids=["first", "second"])
async def test_socket_goes_on_when_another_of_its_connection_closes(
    tmp_path: Path, secured: Secured, leaving: int
) -> None:
    """Whichever of two leaves, the other gets further events, heartbeats and pings, and the end of the run."""
    async with asyncio.timeout(STEP_S), served(tmp_path / "home", secured, heartbeat_s=0.1) as server:
        run = await seed_run(server)
        broadcaster = server.home.backend.broadcaster
        async with connected(server, secured) as connection:
            sockets = []
            for _ in range(2):
                socket = Socket(await connection.ask("/api/v1/ws", CONNECT), server.ws_url)
                await socket.send({"op": "subscribe", "run_id": run.id})
                await socket.until("subscribed", 1)
                sockets.append(socket)
            await sockets.pop(leaving).close()
            (staying,) = sockets
            while broadcaster.guests > 1:
                await asyncio.sleep(0.002)
            for event_id in (2, 3):
                await run.progress(f"step {event_id}")
                await staying.until(event_id)
                await staying.until("heartbeat", "ping")
            await run.finish()
            await staying.until(4, "finished")


async def test_stream_that_is_not_read_is_reset_alone(tmp_path: Path, secured: Secured) -> None:
    """A viewer that takes nothing is given up; the other of its connection gets every event and the end."""
    async with asyncio.timeout(STEP_S), served(tmp_path / "home", secured, stuck_timeout_s=0.3) as server:
        run = await seed_run(server)
        places = server.home.backend.quotas.connections
        async with connected(server, secured) as connection:
            unread, read = [await connection.ask(stream_of(run), {}) for _ in range(2)]
            viewer = StreamViewer(read)
            await viewer.open()
            await run.progress(*[BIG] * MANY)
            events = await take(viewer, 1 + MANY)
            while not unread.reset:
                await connection.exchange()
            while places.taken > 1:
                await asyncio.sleep(0.002)
            assert not read.reset
            await run.progress("after that")
            await run.finish()
            events += await rest_of(viewer)
            assert await viewer.end() == ENDED
        assert [event.id for event in events] == list(range(1, MANY + 4))
        assert sum(len(data.data) for data in unread.came) <= 65535
