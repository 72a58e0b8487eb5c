"""What Hypercorn 0.18 lacks for long-lived connections with strangers. Tied to that version; a test tries each guard.

- permessage-deflate is always accepted and its decompressor is unbounded: declined at the handshake.
- a WebSocket message over the limit is answered with 1009, but buffered on: checked before buffering, then closed.
- nothing tells when a peer was last heard, and a peer that stops reading cannot be let go: a `Peer` in the state.
- a peer whose frames cannot be read is cut off without the close frame that says why (RFC 6455, 7.1.7): it gets one.
- a list of the handshake that is not ASCII raises: it is taken for absent.
- pings, and closes over HTTP/2, are answered apart from the reader, which must go on to hear that there is room;
  a close over HTTP/2 ends its stream as well.
- what comes with the handshake of a WebSocket is answered with 400, and its handler never told: it is.
- what it receives goes to the application through an `asyncio.Queue`, 3 KB a connection: a `Channel` is lighter and
  can deliver without a task that waits.
- after the handshake of a WebSocket it keeps what spoke HTTP, 3 KB, and the head of an answer to the end of that: let
  go.
- it begins tasks where a connection's are being ended, which raises: they are not begun.
- its own pings keep a closed connection's tasks alive until the next one is due: they stay off, `Peer.ping` pings.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import replace
from functools import partial
from typing import Any

from hypercorn import protocol
from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio import task_group, tcp_server, worker_context
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.protocol import h2, h11, http_stream, ws_stream
from hypercorn.protocol.events import EndData, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope, WebsocketAcceptEvent
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection, Message, Ping, Pong
from wsproto.events import Event as WireEvent
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from realtime.channel import Channel
from realtime.guards_http2 import HoldingBuffer, PatientProtocol, with_own_peer
from realtime.light_event import LightEvent
from realtime.outlet import MARK_BYTES
from realtime.peer import STATE_KEY, Peer


class GuardedConfig(Config):
    """Hypercorn's configuration, and the peers that are connected now."""

    def __init__(self) -> None:
        self.peers: set[Peer] = set()

    def abort_all(self) -> None:
        """Cut every connection that is left."""
        for peer in tuple(self.peers):
            peer.abort()


class _NoDeflate(PerMessageDeflate):
    def accept(self, offer: str) -> bool | str | None:
        return None


class _BoundedBuffer(ws_stream.WebsocketBuffer):
    def extend(self, event: Message[Any]) -> None:
        if self.length + len(event.data) > self.max_length:
            raise ws_stream.FrameTooLargeError
        super().extend(event)


class _ExplainingConnection(Connection):
    def events(self) -> Generator[WireEvent, None, None]:
        for event in super().events():
            if isinstance(event, CloseConnection) and self.state is ConnectionState.OPEN:
                # The peer asked for no close: its bytes did. Hypercorn answers a close, and so sends this one.
                self._state = ConnectionState.REMOTE_CLOSING
            yield event


_LISTS = {b"connection", b"sec-websocket-extensions", b"sec-websocket-protocol"}


class _ClosingStream(ws_stream.WSStream):
    _pong: Pong | None = None
    _answering = False

    async def handle(self, event: Event) -> None:
        if isinstance(event, Request):
            kept = [header for header in event.headers if header[0].lower() not in _LISTS or header[1].isascii()]
            event = with_own_peer(replace(event, headers=kept), self.send)
        await super().handle(event)

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_wsproto_event(self, event: WireEvent) -> None:
        if isinstance(event, Pong):
            self._answer_ping(event)
            return
        if isinstance(event, CloseConnection):
            Peer.of(self.scope).closing()
            if self.state is ASGIWebsocketState.CONNECTED and self.scope["http_version"] == "2":
                self.task_group.spawn(self._answer_close, event)
                return
        await super()._send_wsproto_event(event)
        too_big = isinstance(event, CloseConnection) and event.code == CloseReason.MESSAGE_TOO_BIG
        if too_big and not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))
            await self.handle(StreamClosed(stream_id=self.stream_id))

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        await super()._accept(message)
        Peer.of(self.scope).set_ping(self._ping)
        connection = getattr(getattr(self.send, "__self__", None), "connection", None)
        if isinstance(connection, h11.H11WSConnection):
            vars(connection)["h11_connection"] = None

    async def _ping(self) -> None:
        await self._send_wsproto_event(Ping())

    async def _answer_close(self, event: CloseConnection) -> None:
        """Answer a peer's close, or end what it did wrong, and end the stream; the reader goes on meanwhile."""
        await super()._send_wsproto_event(event)
        await self.send(EndData(stream_id=self.stream_id))

    def _answer_ping(self, pong: Pong) -> None:
        """Of pings that come faster than they can be answered, the last is (RFC 6455, 5.5.3)."""
        self._pong = pong
        if not self._answering:
            self._answering = True
            self.task_group.spawn(self._send_pongs)

    async def _send_pongs(self) -> None:
        while self._pong is not None:
            pong, self._pong = self._pong, None
            await super()._send_wsproto_event(pong)
        self._answering = False


class _LightStream(http_stream.HTTPStream):
    async def handle(self, event: Event) -> None:
        await super().handle(with_own_peer(event, self.send) if isinstance(event, Request) else event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        await super().app_send(message)
        if message is not None and message["type"] == "http.response.start":
            self.response = {**message, "headers": []}


class _LightTaskGroup(task_group.TaskGroup):
    def spawn(self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        _create_task(self._task_group, func(*args))

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: Callable[[ASGISendEvent | None], Awaitable[None]]
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        channel: Channel[ASGIReceiveEvent] = Channel(config.max_app_queue_size)
        in_thread = partial(self._loop.run_in_executor, None)
        self.spawn(
            task_group._handle, app, config, scope, channel.get, send, in_thread, self._loop.call_soon_threadsafe
        )
        return channel.put


class _SingleTask(worker_context.AsyncioSingleTask):
    async def restart(self, task_group: Any, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self.stop()
        self._handle = _create_task(task_group._task_group, action())


def _create_task(group: asyncio.TaskGroup, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
    """Do ``work``, unless the group ends: then it raises, and Hypercorn does not expect that."""
    try:
        return group.create_task(work)
    except RuntimeError:
        work.close()
        return None


class _LightEvent:
    """What Hypercorn makes of `asyncio.Event`, of a lighter one."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = LightEvent()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    async def set(self) -> None:
        self._event.set()

    async def clear(self) -> None:
        self._event.clear()


class _HeardReader:
    """A stream reader that tells the peer's watch of every byte."""

    def __init__(self, reader: asyncio.StreamReader, peer: Peer) -> None:
        self._reader = reader
        self._peer = peer
        self.at_eof = reader.at_eof

    async def read(self, size: int) -> bytes:
        data = await self._reader.read(size)
        if data:
            self._peer.heard()
        return data


class _WatchedServer(TCPServer):
    """One TCP connection, with its `Peer` in the state that every request on it sees."""

    async def run(self) -> None:
        peer = Peer(self.writer)
        self.writer.transport.set_write_buffer_limits(high=MARK_BYTES)  # asyncio's TLS takes eight times that
        reader: Any = _HeardReader(self.reader, peer)
        self.reader = reader
        self.state = {**self.state, STATE_KEY: peer}
        peers = self.config.peers if isinstance(self.config, GuardedConfig) else set()
        peers.add(peer)
        try:
            await super().run()
        except asyncio.CancelledError:
            # Only the end of the server cancels this task, and asyncio before 3.12 logs that as a failure.
            peer.abort()
        finally:
            peers.discard(peer)

    async def _close(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # the peer went on talking after our goodbye
            await super()._close()


def install() -> None:
    """Put the guards in place, for this process, where Hypercorn looks its classes up. Idempotent."""
    vars(ws_stream)["PerMessageDeflate"] = _NoDeflate
    vars(ws_stream)["WebsocketBuffer"] = _BoundedBuffer
    vars(ws_stream)["Connection"] = _ExplainingConnection
    vars(hypercorn_run)["TCPServer"] = _WatchedServer
    vars(tcp_server)["TaskGroup"] = _LightTaskGroup
    vars(tcp_server)["AsyncioSingleTask"] = _SingleTask
    worker_context.WorkerContext.event_class = _LightEvent
    vars(protocol)["H2Protocol"] = PatientProtocol
    vars(h11)["HTTPStream"] = _LightStream
    vars(h2)["HTTPStream"] = _LightStream
    vars(h11)["WSStream"] = _ClosingStream
    vars(h2)["WSStream"] = _ClosingStream
    vars(h2)["StreamBuffer"] = HoldingBuffer
