"""A server program in a process of its own on a core of its own, spoken to in JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Self

from delivery.processes import family, pinned, server_core
from delivery.reactor import Reactor

START_S = 60.0
"""A server of Runcast first writes its runs."""
END_S = 5.0


class ServerError(Exception):
    """A server did not start, or did not do what it was told; the text has what it wrote to stderr last."""


class ServerProcess:
    """A running server; it ends with the context, whatever happens, and with this process."""

    def __init__(self, name: str, command: Sequence[str], options: Mapping[str, object]) -> None:
        self.name = name
        self.told: dict[str, Any] = {}
        self._command = [*command, json.dumps(options)]
        self._lines: list[dict[str, Any]] = []
        self._text = b""
        self._ended = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            with pinned(server_core()):
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    start_new_session=True,
                    bufsize=0,
                )
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._pipe_in.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        finally:
            self._kill()
            self._pipe_out.close()
            self._errors.close()

    def start(self, reactor: Reactor) -> None:
        """Return when it listens; ``told`` is what it says of itself.

        Raises:
            ServerError: it ended before, or did not say so in time.

        """
        os.set_blocking(self._pipe_out.fileno(), False)
        reactor.watch(self._pipe_out.fileno(), self._read)
        self.told = self._expect(reactor, START_S)

    @property
    def pids(self) -> list[int]:
        """The process and its children, such as workers."""
        return family(self._process.pid)

    @property
    def said(self) -> bool:
        """True once it answered what it was told last."""
        return bool(self._lines) or self._ended

    def tell(self, **command: object) -> None:
        """Give it a command."""
        self._lines.clear()
        self._pipe_in.write(json.dumps(command).encode() + b"\n")

    def _expect(self, reactor: Reactor, timeout_s: float) -> dict[str, Any]:
        in_time = reactor.run_until(lambda: self.said, timeout_s)
        if not in_time or self._ended:
            raise self.error("expected a line" + ("; it ended" if self._ended else f" within {timeout_s:g} s"))
        return self._lines.pop(0)

    def error(self, what: str) -> ServerError:
        """An error of this server, with the end of what it wrote to stderr."""
        self._errors.seek(0)
        return ServerError(f"{self.name}: {what}\n{self._errors.read()[-2000:].decode(errors='replace')}".strip())

    @property
    def ended(self) -> bool:
        """True where it has ended by itself."""
        return self._ended

    def _read(self) -> None:
        data = self._pipe_out.read(65536)
        if not data:
            self._ended = True
            return
        *lines, self._text = (self._text + data).split(b"\n")
        self._lines += map(json.loads, lines)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def _pipe_in(self) -> Any:
        return self._process.stdin

    @property
    def _pipe_out(self) -> Any:
        return self._process.stdout
