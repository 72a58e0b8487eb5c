"""The server under test: ``runcast serve`` in a process of its own, on one home and one port, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from realtime.settings import Settings

PROGRAM = Path(sys.executable).with_name("runcast")
START_S = 60.0
STOP_S = 10.0


class ServerDiedError(Exception):
    """The server ended, and nobody had told it to."""


class Server:
    """A server that is started with the same settings each time. Its output is kept in ``log``."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.settings.host}:{self.settings.port}"

    async def start(self, **settings: object) -> None:
        """Start the process; it serves a moment later, see `ready`."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(PROGRAM),
                "serve",
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment(settings),
            )
        self._ready = asyncio.ensure_future(self._hear(self._process))

    async def ready(self) -> None:
        """Return when it says that it serves.

        Raises:
            ServerDiedError: it ended instead, or took too long.

        """
        assert self._ready is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), START_S)
        except TimeoutError:
            raise ServerDiedError(f"it did not serve within {START_S:g} s: {self._last_words()}") from None

    def check(self) -> None:
        """Let pass a process that lives.

        Raises:
            ServerDiedError: it has ended.

        """
        assert self._process is not None
        if self._process.returncode is not None:
            raise ServerDiedError(f"it ended with exit code {self._process.returncode}: {self._last_words()}")

    async def kill(self) -> None:
        """SIGKILL: nothing is said or saved any more. Nothing happens where there is no process."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        return await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: nothing happens in it any more, and everybody takes it for alive."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    def _signal(self, how: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)

    async def _end(self, how: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        self._signal(how)
        try:
            code = await asyncio.wait_for(process.wait(), STOP_S)
        except BaseException:
            self._signal(signal.SIGKILL)
            raise
        if self._ready is not None:
            self._ready.cancel()
            await asyncio.gather(self._ready, return_exceptions=True)
        return code

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        if not (await process.stdout.readline()).startswith(b"Serving"):
            await process.wait()
            self.check()

    def _environment(self, more: dict[str, object]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNCAST_")}
        chosen = {name: getattr(self.settings, name) for name in self.settings.__struct_fields__}
        default = Settings()
        told = {name: value for name, value in chosen.items() if value != getattr(default, name)}
        return kept | {f"RUNCAST_{name.upper()}": str(value) for name, value in (told | more).items()}

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] or "it said nothing"
