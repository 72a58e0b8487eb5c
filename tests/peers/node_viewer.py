"""A viewer that is Node's ``ws``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from live import LiveServer
from peers.following import VIEW_S
from peers.programs import child, node_modules

PROGRAM = Path(__file__).with_name("ws_viewer.cjs")


class NodeViewer:
    """One connection; ``offered`` are the extensions that its handshake did.

    What happens on it is read in order, so whoever asks for a frame must not be due a pong.
    """

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self.offered = ""
        self._process = process
        self._out = process.stdout
        self._in = process.stdin

    async def heard(self) -> dict[str, Any]:
        """What happened next, as ``ws_viewer.cjs`` says it."""
        if not (line := await self._out.readline()):
            _, complaints = await self._process.communicate()
            raise AssertionError(f"the viewer ended: {complaints.decode()}")
        said = dict(json.loads(line))
        assert "failed" not in said, said
        return said

    async def frame(self) -> dict[str, Any]:
        """The next message, which must be what happens next."""
        said = await self.heard()
        assert list(said) == ["message"], said
        return dict(json.loads(said["message"]))

    async def do(self, **command: Any) -> None:
        """Have it send a text, a ping, or a close: ``send=``, ``ping=``, ``close=``."""
        self._in.write(json.dumps(command).encode() + b"\n")
        await self._in.drain()

    async def subscribe(self, run_id: str) -> None:
        """Watch the run from its first event."""
        assert (await self.frame())["op"] == "welcome"
        await self.do(send=json.dumps({"op": "subscribe", "run_id": run_id}))
        assert (await self.frame())["op"] == "subscribed"

    async def close(self) -> int:
        """Close with code 1000; the code with which it then was closed."""
        await self.do(close=1000)
        said = await self.heard()
        out, complaints = await self._process.communicate()
        assert (self._process.returncode, out, complaints) == (0, b"", b"")
        return int(said["closed"])


@contextlib.asynccontextmanager
async def node_viewer(server: LiveServer) -> AsyncIterator[NodeViewer]:
    """A viewer that is connected."""
    env = {"NODE_PATH": str(node_modules()), "RUNCAST_TOKEN": server.token}
    async with asyncio.timeout(VIEW_S), child("node", str(PROGRAM), server.ws_url, env=env) as process:
        viewer = NodeViewer(process)
        viewer.offered = (await viewer.heard())["open"]
        yield viewer
