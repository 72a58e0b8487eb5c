"""Reaching a server from the command line: the one named, the one that serves the home, or one inside here."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from realtime.cli.errors import StoppedError
from realtime.cli.inside import Served, find_running, make_token, read_settings, served
from realtime.client import RunClient

_T = TypeVar("_T")


class Target:
    """Which server is meant: that at ``url`` for the holder of ``token``, else that of ``home``."""

    def __init__(self, home: Path, url: str | None = None, token: str | None = None) -> None:
        self.home = home
        self.url = url
        self.token = token

    @property
    def options(self) -> str:
        """How to mean the same server again."""
        return shlex.join(["--home", str(self.home)] if self.url is None else ["--url", self.url])


class Reached:
    """A server that answers. ``inside``: it is part of this process. ``stays``: it outlives the run."""

    def __init__(
        self, client: RunClient, target: Target, inside: Served | None = None, *, stays: bool = False
    ) -> None:
        self.client = client
        self.target = target
        self.inside = inside
        self.stays = stays or inside is None

    async def unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of ``work``; where the server is inside and ends first, ``work`` is cancelled.

        Raises:
            StoppedError: the server inside was told to end.

        """
        if self.inside is None:
            return await work
        working, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.inside.ending())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise StoppedError
        finally:
            for task in (working, ending):
                task.cancel()
            await asyncio.wait({working, ending})


@contextlib.asynccontextmanager
async def reach_running(target: Target) -> AsyncIterator[Reached | None]:
    """The server that is meant, if it runs; None: nobody serves the home."""
    url, token = target.url, target.token
    if url is None:
        url = await find_running(target.home)
        if url is None:
            yield None
            return
        token = await make_token(target.home)
    async with RunClient(url, token) as client:
        yield Reached(client, target)


@contextlib.asynccontextmanager
async def reach(target: Target) -> AsyncIterator[Reached]:
    """The server that is meant; where nobody serves the home, one inside this process, on a free port.

    Raises:
        CommandError: the home cannot be served.

    """
    async with reach_running(target) as reached:
        if reached is not None:
            yield reached
            return
    settings = read_settings(target.home, host="127.0.0.1", port=0, log_level="warning")
    async with served(settings) as inside, RunClient(inside.url, inside.home.issue_token()) as client:
        yield Reached(client, target, inside)
