"""curl at work on one run's SSE stream."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from typing import Any

from live import LiveServer
from peers.following import VIEW_S, parse_sse
from peers.programs import child


class Curl:
    """What curl prints, as it prints it: the head of the answer, then its body."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.status = 0
        self.headers: dict[str, str] = {}
        self._process = process
        self._out = process.stdout

    async def read_head(self) -> None:
        """Read the status line and the headers."""
        head = await self._read_until(b"\r\n\r\n")
        assert head, f"no answer: {(await self._process.communicate())[1].decode()}"
        status, *lines = head.decode().strip().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    async def event(self) -> dict[str, Any] | None:
        """The next event, in the shape of the WebSocket; None at the end of the stream."""
        while block := await self._read_until(b"\n\n"):
            if (event := parse_sse(block)) is not None:
                return event
        return None

    async def rest(self) -> bytes:
        """Everything it still prints. The test fails where it was not content."""
        out, complaints = await self._process.communicate()
        assert (self._process.returncode, complaints) == (0, b"")
        return out

    async def _read_until(self, separator: bytes) -> bytes:
        """What it prints up to and with the next ``separator``; empty at the end."""
        try:
            return await self._out.readuntil(separator)
        except asyncio.IncompleteReadError as end:
            cut = end.partial
        assert not cut, f"the output ended in the middle: {cut!r}"
        return b""


@contextlib.asynccontextmanager
async def curl(server: LiveServer, url: str, *options: str) -> AsyncIterator[Curl]:
    """The answer of ``url`` as curl prints it without buffering, its head read; ``server`` gave the token."""
    usual = ("-q", "-sS", "-i", "-N", "--noproxy", "*", "-H", f"Authorization: Bearer {server.token}")
    async with asyncio.timeout(VIEW_S), child("curl", *usual, *options, url) as process:
        answer = Curl(process)
        await answer.read_head()
        yield answer
