"""A server in a process of its own, that tests may kill or freeze; its agents wait until a file is there.

Run as a program: ``server_process.py HOME GATES``, with settings in ``RUNCAST_...`` variables. It prints its URL, a
token and the project, then serves. An agent answers once the file ``go-{agent_type}`` stands in the folder GATES;
where ``die-{agent_type}`` stands there, it kills its process instead.
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

    def __init__(self, gates: Path) -> None:
        self._gates = gates

    def estimate(self, request: ModelRequest) -> int:
        return 100

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        yield ModelProgress(10, "Waiting")
        while not (self._gates / f"go-{request.agent_type}").exists():
            if (self._gates / f"die-{request.agent_type}").exists():
                os.kill(os.getpid(), signal.SIGKILL)
            await asyncio.sleep(0.01)
        yield ModelText(ANSWERS[request.agent_type])
        yield ModelUsage(100)


class ServerProcess:
    """A server that runs as a child of this process; ``settings`` are by their names, and the same at each start."""

    def __init__(self, home: Path, database_url: str | None, gates: Path | None, settings: dict[str, object]) -> None:
        self.url = ""
        self.token = ""
        self.project = ""
        self._home = home
        self._gates = gates or home
        self._settings = {name: value for name, value in settings.items() if value is not None}
        if database_url is not None:
            self._settings["database_url"] = database_url
        self._process: asyncio.subprocess.Process | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What identifies the local user."""
        return {"Authorization": f"Bearer {self.token}"}

    async def start(self) -> Self:
        """Start it and return when it serves."""
        settings = {f"RUNCAST_{name.upper()}": str(value) for name, value in self._settings.items()}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            str(self._home),
            str(self._gates),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS)))},
        )
        assert self._process.stdout is not None
        self.url, self.token, self.project = (await self._process.stdout.readline()).decode().split()
        return self

    def release(self, *agents: str) -> None:
        """Let these agents answer, in this and every later process."""
        self._put("go", agents)

    def poison(self, *agents: str) -> None:
        """Let these agents kill their process as soon as they work, this and every later one."""
        self._put("die", agents)

    async def kill(self) -> None:
        """SIGKILL: nothing is said or saved any more."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        return await self._end(signal.SIGTERM)

    async def died(self) -> int:
        """Wait for it to end by itself; the exit code."""
        assert self._process is not None
        return await self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: nothing happens in it any more, and everybody takes it for alive."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return await self._process.wait()

    def _put(self, kind: str, agents: tuple[str, ...]) -> None:
        for agent in agents:
            (self._gates / f"{kind}-{agent}").touch()


@contextlib.asynccontextmanager
async def server_process(
    home: Path, database_url: str | None = None, *, gates: Path | None = None, **settings: object
) -> AsyncIterator[ServerProcess]:
    """A started server; it is killed in the end, whatever came. Its agents look into ``gates``, else the home."""
    process = ServerProcess(home, database_url, gates, settings)
    try:
        yield await process.start()
    finally:
        if process._process is not None and process._process.returncode is None:
            await process.kill()


async def _serve(home: Path, gates: Path) -> None:
    settings = Settings.from_environment(port=0, home=home, log_level="error")
    if settings.database_url is not None:
        await mint_token(settings, LOCAL)

    def ready(url: str, opened: Home) -> None:
        print(url, opened.issue_token(), opened.project_id, flush=True)

    await serve(settings, ready=ready, model=FileGatedModel(gates))


if __name__ == "__main__":
    asyncio.run(_serve(*map(Path, sys.argv[1:])))
