"""Programs that the tests run as children, and where they are; ``scripts/test`` installs what is missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

LINE_BYTES = 1024 * 1024
"""The longest line or event that a child may print."""
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
"""Debian keeps servers in /usr/sbin, which is in the PATH of root alone."""


def find_program(name: str) -> str:
    """Where the program is; without it the test fails."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.fail(f"no program {name} was found in {PATH}; scripts/test installs it for root, else do it by hand")
    return found


def node_modules() -> Path:
    """The folder with ``ws``, where ``scripts/test`` puts it; without it the test fails."""
    folder = Path(__file__).parents[2] / ".peers" / "node_modules"
    if not (folder / "ws" / "package.json").is_file():
        pytest.fail(f"no Node package ws was found in {folder}; scripts/test installs it where there is npm")
    return folder


@contextlib.asynccontextmanager
async def child(name: str, *arguments: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """The program at work, all its streams piped; killed in the end if it has not ended by itself.

    ``env`` is what it gets beside this process's environment.
    """
    process = await asyncio.create_subprocess_exec(
        find_program(name), *arguments,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LINE_BYTES, env={**os.environ, **(env or {})},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            # Not by asyncio, which may take away the exit code that it waits for elsewhere.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        await process.communicate()
