"""The floor: no framework, no queue, no checks; one ``transport.write`` of a ready frame per viewer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import cast

import uvloop
from line_protocol import Encoder, obey, options, sse_event, tell, versions_of

UPGRADED = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
)
STREAMING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PATH = re.compile(rb"GET /(ws|sse)/(\d+) ")
KEY = re.compile(rb"(?i)sec-websocket-key: *([^\r]+)")
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Viewers = list[set[asyncio.Transport]]


class Viewer(asyncio.Protocol):
    """One connection; what it sends after its request is ignored."""

    def __init__(self, sockets: Viewers, streams: Viewers) -> None:
        self._all = {b"ws": sockets, b"sse": streams}
        self._viewers: set[asyncio.Transport] = set()
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer the request."""
        if self._viewers:
            return
        self._request += data
        path = PATH.match(self._request)
        if path is None or not self._request.endswith(b"\r\n\r\n"):
            return
        key = KEY.search(self._request)
        if key is None:
            self._transport.write(STREAMING)
        else:
            accept = base64.b64encode(hashlib.sha1(key[1].strip() + MAGIC).digest()).decode()
            self._transport.write(UPGRADED.format(accept).encode())
        self._viewers = self._all[path[1]][int(path[2])]
        self._viewers.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the viewer."""
        self._viewers.discard(self._transport)


def frame(text: bytes) -> bytes:
    """One unmasked text frame."""
    length = len(text)
    head = bytes([0x81, length]) if length < 126 else b"\x81\x7e" + length.to_bytes(2, "big")
    return head + text


async def main() -> None:
    """Serve until stdin ends."""
    runs: int = options()["runs"]
    sockets: Viewers = [set() for _ in range(runs)]
    streams: Viewers = [set() for _ in range(runs)]
    encoder = Encoder(runs)

    def publish(run: int, content: str) -> None:
        number, text = encoder.encode(run, content)
        if sockets[run]:
            ready = frame(text.encode())
            for transport in sockets[run]:
                transport.write(ready)
        if streams[run]:
            event = sse_event(number, text).encode()
            chunk = b"%x\r\n%b\r\n" % (len(event), event)
            for transport in streams[run]:
                transport.write(chunk)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Viewer(sockets, streams), "127.0.0.1", 0, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    tell(port=port, versions=versions_of("uvloop"), runs=encoder.runs, heads=[0] * runs)
    await obey(publish)


if __name__ == "__main__":
    uvloop.run(main())
