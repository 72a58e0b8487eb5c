"""A server in a process of its own, that tests may kill; its agents wait until a file is there.

Run as a program: ``server_process.py HOME [DATABASE_URL]``. It prints its URL and a token, then serves. An agent
answers once the file ``go-{agent_type}`` stands in the home.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from live import ANSWERS

from orchestrator.ports import ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from realtime.server import serve
from realtime.settings import Settings
from realtime.wiring import LOCAL, Home, mint_token

TESTS = Path(__file__).parents[1]


class FileGatedModel:
    """Answers when the test has put the agent's file in place."""

    name = "file-gated"

    def __init__(self, home: Path) -> None:
        self._home = home

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        yield ModelProgress(10, "Waiting")
        while not (self._home / f"go-{request.agent_type}").exists():
            await asyncio.sleep(0.01)
        yield ModelText(ANSWERS[request.agent_type])
        yield ModelUsage(100)


class ServerProcess:
    """A server that runs as a child of this process."""

    def __init__(self, home: Path, database_url: str | None) -> None:
        self._place = [str(home)] if database_url is None else [str(home), database_url]
        self.url = ""
        self.token = ""
        self.project = ""
        self._home = home
        self._process: asyncio.subprocess.Process | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What identifies the local user."""
        return {"Authorization": f"Bearer {self.token}"}

    async def start(self) -> Self:
        """Start it and return when it serves."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *self._place,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS)))},
        )
        assert self._process.stdout is not None
        self.url, self.token, self.project = (await self._process.stdout.readline()).decode().split()
        return self

    def release(self, *agents: str) -> None:
        """Let these agents answer, in this and every later process."""
        for agent in agents:
            (self._home / f"go-{agent}").touch()

    async def kill(self) -> None:
        """SIGKILL: nothing is said or saved any more."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()


@contextlib.asynccontextmanager
async def server_process(home: Path, database_url: str | None = None) -> AsyncIterator[ServerProcess]:
    """A started server; it is killed in the end, whatever came."""
    process = ServerProcess(home, database_url)
    try:
        yield await process.start()
    finally:
        if process._process is not None and process._process.returncode is None:
            await process.kill()


async def _serve(home: Path, database_url: str | None = None) -> None:
    settings = Settings(port=0, home=home, log_level="error", database_url=database_url)
    if database_url is not None:
        await mint_token(settings, LOCAL)

    def ready(url: str, opened: Home) -> None:
        print(url, opened.issue_token(), opened.project_id, flush=True)

    await serve(settings, ready=ready, model=FileGatedModel(home))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), *sys.argv[2:]))
