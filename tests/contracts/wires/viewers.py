"""Viewers of one run over SSE and WebSocket that take a stream apart byte by byte, and fail for one that is amiss."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Protocol

from contracts.wires.carriers import Carrier
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

_BODY = rb'"type":"([a-z]+)","run_id":"([0-9a-f-]{36})","payload":(\{[^\r\n]*\})\}'
_SSE_EVENT = re.compile(rb"(?:id: (\d+)\n)?data: \{" + _BODY + rb"\n\n")
_SOCKET_EVENT = re.compile(rb'\{"id":(\d+),' + _BODY)
_HEARTBEAT = b'{"type":"heartbeat","payload":{}}'

CUT = "cut"
"""How a stream ended that ended in the middle."""
ENDED = "ended"
"""How an SSE stream ended that came to its proper end. A WebSocket's says ``closed`` and its code."""


class Seen(NamedTuple):
    """One event as it came: its payload is the very bytes."""

    run_id: str
    id: int | None
    type: str
    payload: bytes

    @classmethod
    def matched(cls, match: re.Match[bytes] | None, raw: bytes) -> Seen:
        """What a wire's pattern found in ``raw``, which must be one whole event."""
        assert match is not None, f"this is no event: {raw[:200]!r}"
        event_id, kind, run_id, payload = match.groups()
        assert isinstance(json.loads(payload), dict)
        return cls(run_id.decode(), None if event_id is None else int(event_id), kind.decode(), payload)


class Viewer(Protocol):
    """One viewer of one run."""

    reset: dict[str, Any] | None
    """What it was told where its cursor could not be served: reason and cursor."""

    async def event(self) -> Seen | None:
        """The next event that moves the cursor; None: none follows for this run."""
        ...

    async def end(self) -> str:
        """Leave where that is still to do, read every byte that comes, no event among them; how it ended."""
        ...


async def rest_of(viewer: Viewer) -> list[Seen]:
    """Every event that is still to come."""
    events: list[Seen] = []
    while (event := await viewer.event()) is not None:
        events.append(event)
    return events


async def take(viewer: Viewer, count: int) -> list[Seen]:
    """The next events."""
    events: list[Seen] = []
    for _ in range(count):
        event = await viewer.event()
        assert event is not None, f"the stream ended after {len(events)} events; expected {count}"
        events.append(event)
    return events


class StreamViewer:
    """A viewer over SSE."""

    def __init__(self, carrier: Carrier) -> None:
        self.reset: dict[str, Any] | None = None
        self._carrier = carrier
        self._body = b""

    async def open(self) -> None:
        """Read how a stream begins; one of which nothing is left has no body."""
        assert self._carrier.status in {200, 204}, self._carrier.status
        if self._carrier.status == 200:
            assert await self._block() == b"retry: 2000\n\n"

    async def event(self) -> Seen | None:
        """The next event that moves the cursor; None: none follows."""
        while (block := await self._block()) is not None:
            seen = Seen.matched(_SSE_EVENT.fullmatch(block), block)
            if seen.type == "heartbeat":
                assert (seen.id, seen.payload) == (None, b"{}")
                continue
            self.reset = json.loads(seen.payload).get("reset", self.reset)
            if seen.id is not None:
                return seen
            assert self.reset is not None, f"an event without an id: {block!r}"
        return None

    async def end(self) -> str:
        """Read to the end."""
        assert await self.event() is None
        return ENDED if self._carrier.ended else CUT

    async def _block(self) -> bytes | None:
        """The next bytes up to and with a blank line; None: the body is over."""
        while b"\n\n" not in self._body:
            if not (data := await self._carrier.read()):
                assert not (self._carrier.ended and self._body), f"it ended inside an event: {self._body[:200]!r}"
                return None
            self._body += data
        block, blank, self._body = self._body.partition(b"\n\n")
        return block + blank


class Socket:
    """A WebSocket whose every byte must be part of a frame that RFC 6455 allows, none after the server's close.

    Pings are answered; ``pongs`` are those that came; ``closed_with`` is the code of the server's close.
    """

    def __init__(self, carrier: Carrier) -> None:
        self.pongs: list[bytes] = []
        self.closed_with: int | None = None
        self._carrier = carrier
        self._came = StreamReader()
        self._closing = False

    async def message(self) -> dict[str, Any] | Seen | None:
        """The next control frame or event; None when the connection is closed."""
        while (frame := await self._frame()) is not None:
            assert self.closed_with is None, f"after its close the server sent {frame}"
            match frame.opcode:
                case Opcode.PING:
                    await self._send(Opcode.PONG, bytes(frame.data))
                case Opcode.PONG:
                    self.pongs.append(bytes(frame.data))
                case Opcode.CLOSE:
                    self.closed_with = Close.parse(frame.data).code
                    await self.close()
                case _:
                    assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
                    if frame.data != _HEARTBEAT:
                        return _message_of(bytes(frame.data))
        return None

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one control frame."""
        await self._send(Opcode.TEXT, json.dumps(frame).encode())

    async def ping(self, data: bytes) -> None:
        """Send a ping of WebSocket's."""
        await self._send(Opcode.PING, data)

    async def send_bytes(self, data: bytes) -> None:
        """Send what need not be a frame."""
        await self._carrier.send(data)

    async def close(self) -> None:
        """Say goodbye, once."""
        if not self._closing:
            self._closing = True
            await self._send(Opcode.CLOSE, Close(1000, "").serialize())

    async def messages_until(self, op: str) -> list[dict[str, Any] | Seen]:
        """Every message up to the first control frame of that kind, and with it."""
        messages: list[dict[str, Any] | Seen] = []
        while (message := await self.message()) is not None:
            messages.append(message)
            if isinstance(message, dict) and message["op"] == op:
                return messages
        raise AssertionError(f"the connection closed after {len(messages)} messages; expected {op}")

    async def _send(self, opcode: Opcode, data: bytes) -> None:
        try:
            await self._carrier.send(Frame(opcode, data).serialize(mask=True))
        except OSError:
            assert self.closed_with is not None  # else the server has cut the connection

    async def _frame(self) -> Frame | None:
        """The next frame; None: the connection ended, between two of them."""
        if not self._came.buffer and not await self._read():
            return None
        parsing = Frame.parse(self._came.read_exact, mask=False)
        while True:
            try:
                next(parsing)
            except StopIteration as parsed:
                frame = parsed.value
                assert isinstance(frame, Frame)
                return frame
            assert await self._read(), "the connection ended inside a frame"

    async def _read(self) -> bool:
        data = await self._carrier.read()
        self._came.feed_data(data)
        return bool(data)


def _message_of(text: bytes) -> dict[str, Any] | Seen:
    said = dict(json.loads(text))
    return said if "op" in said else Seen.matched(_SOCKET_EVENT.fullmatch(text), text)


class SocketViewer:
    """A viewer of one run over a WebSocket."""

    def __init__(self, socket: Socket, run_id: str) -> None:
        self.reset: dict[str, Any] | None = None
        self.said: list[str] = []
        self._socket = socket
        self._run_id = run_id
        self._over = False

    async def open(self, cursor: int | str | None) -> None:
        """Subscribe, once welcomed."""
        welcome = await self._socket.message()
        assert isinstance(welcome, dict)
        assert welcome["op"] == "welcome", welcome
        asked = {} if cursor is None else {"last_event_id": cursor}
        await self._socket.send({"op": "subscribe", "run_id": self._run_id, **asked})
        answer = await self._socket.message()
        assert isinstance(answer, dict)
        if answer["op"] == "reset":
            self.reset = {"reason": answer["reason"], "cursor": answer["cursor"]}
        else:
            assert (answer["op"], answer["cursor"]) == ("subscribed", cursor or 0)

    async def event(self) -> Seen | None:
        """The next event; None: none follows, for ``finished`` or an error was said, or the connection is closed."""
        while not self._over:
            message = await self._socket.message()
            if isinstance(message, Seen):
                assert message.run_id == self._run_id
                return message
            if message is not None:
                self.said.append(message["op"])
            self._over = message is None or message.get("run_id") == self._run_id
        return None

    async def end(self) -> str:
        """Say goodbye, and read to the last byte."""
        assert await self.event() is None
        await self._socket.close()
        while (message := await self._socket.message()) is not None:
            assert isinstance(message, dict), f"an event after the last: {message}"
            self.said.append(message["op"])
        return CUT if self._socket.closed_with is None else f"closed {self._socket.closed_with}"
