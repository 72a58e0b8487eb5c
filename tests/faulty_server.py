"""A server for the load generator to find out: every viewer gets the same events, but for one fault each.

It speaks the line protocol of ``scripts/benchmarks/servers``. Of every ``len(FAULTS)`` viewers, in the order in which
they connect, the first gets everything as it should be.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from line_protocol import Encoder, obey, sse_event, tell, versions_of

PING = b"\x89\x00"
PONG = b"\x8a"


def frame(text: str) -> bytes:
    """One WebSocket message."""
    data = text.encode()
    return b"\x81\x7e" + len(data).to_bytes(2, "big") + data


def chunk(data: bytes) -> bytes:
    """One chunk of an HTTP body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Viewer(asyncio.Protocol):
    """One connection; its number says which fault it has."""

    def __init__(self, number: int, viewers: list[Viewer]) -> None:
        self.pongs = 0
        self._fault = FAULTS[number % len(FAULTS)]
        self._viewers = viewers
        self._asked = False
        self.stream = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._asked:
            self.pongs += data.count(PONG)
            return
        self._asked = True
        self.stream = re.match(rb"GET /sse", data) is not None
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if self.stream else b"HTTP/1.1 101 Yes\r\n\r\n"
        )
        self._viewers.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._viewers:
            self._viewers.remove(self)

    def send(self, number: int, text: str) -> None:
        """Send an event, or what this viewer gets instead."""
        self._fault(self, number, text)

    def whole(self, number: int, text: str) -> None:
        """Send it as one message or chunk."""
        self._transport.write(chunk(sse_event(number, text).encode()) if self.stream else frame(text))

    def lose(self, number: int, text: str) -> None:
        """Lose the second event."""
        if number != 2:
            self.whole(number, text)

    def repeat(self, number: int, text: str) -> None:
        """Send the third event again."""
        self.whole(number, text)
        if number == 3:
            self.whole(number, text)

    def interrupt(self, number: int, text: str) -> None:
        """Say something else in between: a ping, or a comment."""
        if number == 2:
            self._transport.write(chunk(b": still here\n\n") if self.stream else PING)
        self.whole(number, text)

    def cut(self, number: int, text: str) -> None:
        """Send it in two parts; on SSE, in two chunks, the first of which ends inside of the id."""
        data = sse_event(number, text).encode()
        parts = (chunk(data[:3]), chunk(data[3:])) if self.stream else (frame(text)[:1], frame(text)[1:])
        for at, part in enumerate(parts):
            asyncio.get_running_loop().call_later(0.005 * at, self._transport.write, part)


FAULTS: list[Callable[[Viewer, int, str], None]] = [
    Viewer.whole,
    Viewer.lose,
    Viewer.repeat,
    Viewer.interrupt,
    Viewer.cut,
]


async def main() -> None:
    """Serve until stdin ends."""
    viewers: list[Viewer] = []
    encoder = Encoder(1)
    numbers = iter(range(10_000))

    def publish(run: int, content: str) -> None:
        number, text = encoder.encode(run, content)
        for viewer in viewers:
            viewer.send(number, text)

    server = await asyncio.get_running_loop().create_server(lambda: Viewer(next(numbers), viewers), "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1], versions=versions_of(), runs=encoder.runs, heads=[0])
    await obey(publish)


if __name__ == "__main__":
    asyncio.run(main())
