"""Watching a run over WebSocket: one connection, from handshake to its end. Retries nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, ProxyError
from websockets.typing import Subprotocol

from realtime.client.errors import LinkLostError, refusal
from realtime.client.items import Attached, Finished, LinkMessage, Pulse, Reset, RunEvent
from realtime.client.site import CONNECT_S, USER_AGENT, Site
from realtime.frames import SUBPROTOCOL, CloseCode
from realtime.snapshot import RunSnapshot

ACK_EVERY_S = 1.0
SILENT_HEARTBEATS = 3


class _Frame(msgspec.Struct):
    """Any frame of the server; which fields are set depends on ``op``, or for an event on its absence."""

    op: str | None = None
    type: str | None = None
    id: int | None = None
    run_id: str = ""
    payload: dict[str, Any] = {}
    heartbeat_s: float = 0.0
    snapshot: RunSnapshot | None = None
    cursor: int = 0
    reason: str = ""
    code: str = ""
    message: str = ""
    fatal: bool = False
    retry_after_ms: int = 0


_decode = msgspec.json.Decoder(_Frame).decode

_CLOSED_FOR_GOOD = {
    CloseCode.BAD_PROTOCOL: "BAD_FRAME",
    CloseCode.NOT_AUTHENTICATED: "NOT_AUTHENTICATED",
    CloseCode.FORBIDDEN: "FORBIDDEN",
}
_WORTH_ANOTHER_TRY = {"INTERNAL", "TOO_MANY"}
_ABOUT_AN_ACK = {"ACK_AHEAD", "NOT_SUBSCRIBED"}


class _Connection(ClientConnection):
    """Knows when the peer was last heard: any byte counts, the pings that the library answers by itself included."""

    heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)


async def socket_messages(
    site: Site, run_id: str, cursor: int | None, client_id: str | None, silence_s: float
) -> AsyncGenerator[LinkMessage, None]:
    """Events of the run after ``cursor`` (None: after what ``client_id`` acked, else all), until the connection ends.

    An event counts as handled when the next message is asked for; with a ``client_id`` that is acked at most once a
    second. After the terminal event, or where there is nothing to come, the generator ends. Closing it closes the
    connection.

    Raises:
        LinkLostError: the connection ended, or was silent for ``silence_s`` (three heartbeats, once they are known).
        ServerRefusedError: the server will not serve this; asking again does not help.

    """
    socket = await _open(site)
    site.sockets.add(socket)
    try:
        link = _Link(socket, run_id, client_id, silence_s)
        await link.subscribe(cursor)
        while True:
            message = link.read(await link.receive())
            if message is not None:
                yield message
            if isinstance(message, RunEvent):
                await link.handled(message)
            if isinstance(message, Finished) or (isinstance(message, RunEvent) and message.terminal):
                return
    except ConnectionClosed as closed:
        raise link.ending(closed) from None
    finally:
        site.sockets.discard(socket)
        try:
            await socket.close()
        finally:
            socket.transport.abort()


async def _open(site: Site) -> _Connection:
    try:
        socket = await connect(
            site.socket_url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=site.headers,
            user_agent_header=USER_AGENT,
            compression=None,
            open_timeout=CONNECT_S,
            close_timeout=1.0,
            ping_interval=None,
            proxy=True if site.proxied else None,
            create_connection=_Connection,
            ssl=site.ssl_context,
        )
    except InvalidStatus as answer:
        raise _judge_status(answer.response.status_code) from None
    except (InvalidMessage, ProxyError, TimeoutError) as error:
        raise LinkLostError(f"no WebSocket handshake: {error}") from None
    except InvalidHandshake as error:
        raise LinkLostError(f"no WebSocket handshake: {error}", unavailable=True) from None
    except OSError as error:
        raise LinkLostError(f"no connection: {error}", counts=False) from None
    if socket.subprotocol != SUBPROTOCOL:
        socket.transport.abort()
        raise LinkLostError(f"the WebSocket does not speak {SUBPROTOCOL}", unavailable=True)
    return cast("_Connection", socket)


def _judge_status(status: int) -> Exception:
    if status == 401:
        return refusal("NOT_AUTHENTICATED", "the WebSocket handshake was answered with HTTP status 401", status)
    may_pass = status in {408, 425, 429} or status >= 500
    return LinkLostError(f"the WebSocket handshake was answered with HTTP status {status}", unavailable=not may_pass)


class _Link:
    """One subscription on one connection."""

    def __init__(self, socket: _Connection, run_id: str, client_id: str | None, silence_s: float) -> None:
        self._socket = socket
        self._run_id = run_id
        self._client_id = client_id
        self._silence_s = silence_s
        self._retry_after_s = 0.0
        self._acked_at = 0.0
        self._loop = asyncio.get_running_loop()

    async def subscribe(self, cursor: int | None) -> None:
        frame: dict[str, Any] = {"op": "subscribe", "run_id": self._run_id}
        if cursor is not None:
            frame["last_event_id"] = cursor
        if self._client_id is not None:
            frame["client_id"] = self._client_id
        await self._send(frame)

    async def handled(self, event: RunEvent) -> None:
        """Ack, where somebody keeps acks, and not for each event of a burst."""
        now = self._loop.time()
        if self._client_id is None or (now - self._acked_at < ACK_EVERY_S and not event.terminal):
            return
        self._acked_at = now
        await self._send({"op": "ack", "run_id": self._run_id, "event_id": event.id})

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._socket.send(msgspec.json.encode(frame).decode())

    async def receive(self) -> bytes:
        """The next message. A byte of anything restarts the wait; time in which nobody waited does not count."""
        started = self._loop.time()
        while True:
            silent_at = max(started, self._socket.heard_at) + self._silence_s
            try:
                async with asyncio.timeout_at(silent_at):
                    return await self._socket.recv(decode=False)
            except TimeoutError:
                if self._socket.heard_at + self._silence_s <= self._loop.time():
                    self._socket.transport.abort()
                    raise LinkLostError(f"nothing was heard for {self._silence_s:g} s") from None

    def read(self, text: bytes) -> LinkMessage | None:
        """What the message means for this run; None: nothing."""
        try:
            frame = _decode(text)
        except msgspec.DecodeError as error:
            raise LinkLostError(f"a frame cannot be read: {error}") from None
        if frame.op is None:
            return self._read_event(frame)
        return self._read_control(frame)

    def _read_event(self, frame: _Frame) -> LinkMessage | None:
        if frame.type == "heartbeat":
            return Pulse()
        if frame.id is None or frame.type is None:
            raise LinkLostError("a frame is neither control nor event")
        return RunEvent(frame.run_id, frame.id, frame.type, frame.payload) if self._mine(frame) else None

    def _read_control(self, frame: _Frame) -> LinkMessage | None:
        match frame.op:
            case "welcome" if frame.heartbeat_s > 0:
                self._silence_s = SILENT_HEARTBEATS * frame.heartbeat_s
            case "draining":
                self._retry_after_s = frame.retry_after_ms / 1000
            case "subscribed" if self._mine(frame):
                return Attached(frame.snapshot, frame.cursor)
            case "reset" if self._mine(frame):
                return self._read_reset(frame)
            case "finished" if self._mine(frame):
                return Finished()
            case "error":
                self._refuse(frame)
        return None

    def _read_reset(self, frame: _Frame) -> Reset:
        if frame.snapshot is None:
            raise LinkLostError("a reset has no snapshot")
        return Reset(frame.run_id, frame.cursor, frame.reason, frame.snapshot)

    def _refuse(self, frame: _Frame) -> None:
        if frame.code in _WORTH_ANOTHER_TRY:
            raise LinkLostError(f"{frame.code}: {frame.message}", retry_after_s=self._retry_after_s)
        if frame.code not in _ABOUT_AN_ACK:
            raise refusal(frame.code, frame.message)

    def _mine(self, frame: _Frame) -> bool:
        return frame.run_id == self._run_id

    def ending(self, closed: ConnectionClosed) -> Exception:
        """What the end of the connection means."""
        if closed.rcvd is None:
            return LinkLostError("the connection broke", retry_after_s=self._retry_after_s)
        code, reason = closed.rcvd.code, closed.rcvd.reason
        if code in _CLOSED_FOR_GOOD:
            return refusal(_CLOSED_FOR_GOOD[CloseCode(code)], reason or f"closed with code {code}")
        return LinkLostError(f"closed with code {code} {reason}".rstrip(), retry_after_s=self._retry_after_s)
