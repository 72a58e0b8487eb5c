"""A TCP proxy between viewers and a server that can cut, stall, throttle, and let half of a connection vanish."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

PIECE_BYTES = 16 * 1024

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """One connection of a viewer and the one to the server that it is joined to."""

    def __init__(self, viewer: Stream, server: Stream) -> None:
        self._viewer = viewer
        self._server = server
        self._flows = asyncio.Event()
        self._flows.set()
        self._bytes_per_s: float | None = None
        self._is_half = False

    async def carry(self) -> None:
        """Pass on what comes, both ways, until one of the two ends its connection."""
        ways = [
            asyncio.ensure_future(self._pass_on(self._viewer[0], self._server[1])),
            asyncio.ensure_future(self._pass_on(self._server[0], self._viewer[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self._is_half:
                await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self.cut()

    def cut(self) -> None:
        """Reset both connections."""
        for _, writer in (self._viewer, self._server):
            writer.transport.abort()

    def stall(self) -> None:
        """Both connections stay, and nothing moves until `flow`."""
        self._flows.clear()

    def throttle(self, bytes_per_s: float) -> None:
        """Let so much pass each way, until `flow`."""
        self._bytes_per_s = bytes_per_s

    def flow(self) -> None:
        """Everything passes again as it comes."""
        self._bytes_per_s = None
        self._flows.set()

    def halve(self, *, lose_server: bool) -> None:
        """Reset the connection to the server, or to the viewer; the other one stays open and hears nothing more."""
        self._is_half = True
        (self._server if lose_server else self._viewer)[1].transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                await self._flows.wait()
                if self._bytes_per_s is not None:
                    await asyncio.sleep(len(data) / self._bytes_per_s)
                if not writer.is_closing():
                    writer.write(data)
                    await writer.drain()


class Proxy:
    """Forwards each connection to ``port`` to one of the servers' ports; where nobody listens there, it hangs up."""

    def __init__(self, server_ports: Sequence[int], draw: random.Random) -> None:
        self.links: list[Link] = []
        self.accepted = 0
        self.port = 0
        self._server_ports = server_ports
        self._draw = draw
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where viewers find it."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        """Take connections for as long as this is open; then cut all."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._join((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, viewer: Stream) -> None:
        self.accepted += 1
        try:
            server = await asyncio.open_connection("127.0.0.1", self._draw.choice(self._server_ports))
        except OSError:
            viewer[1].transport.abort()
            return
        link = Link(viewer, server)
        self.links.append(link)
        try:
            await link.carry()
        finally:
            self.links.remove(link)
