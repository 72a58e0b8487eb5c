"""A server inside this process, and the server that another process has for a home."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from realtime.cli.errors import CommandError
from realtime.cli.inside import explained
from realtime.cli.target import Place
from realtime.client import RunClient
from realtime.server import Running, serve
from realtime.settings import Settings
from realtime.tls import read_certificate, trust_only
from realtime.wiring import Home, printable_url

ANSWER_S = 3.0
"""How long a server that is said to run may take to say so."""


class Served:
    """A server inside this process."""

    def __init__(self, url: str, home: Home, stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
        self.url = url
        self.home = home
        self._stop = stop
        self._serving = serving

    def connect(self, token: str) -> RunClient:
        """A client of it, without connections yet."""
        file = self.home.settings.tls_cert
        return RunClient(self.url, token, ssl_context=_trust(None if file is None else read_certificate(file)))

    async def ending(self) -> None:
        """Return when the server was told to stop, or failed."""
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({stopped, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()


@contextlib.asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """A server of ``settings`` for as long as the context lasts; then it drains.

    Raises:
        CommandError: the home or its database is served by another process or cannot be used, or the address is
            taken.

    """
    stop = asyncio.Event()
    ready: asyncio.Future[tuple[str, Home]] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(serve(settings, ready=lambda url, home: ready.set_result((url, home)), stop=stop))
    either: set[asyncio.Future[Any]] = {serving, ready}
    try:
        with explained(Place(settings.home, settings.database_url)):
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await serving
        url, home = await ready
        yield Served(url, home, stop, serving)
    finally:
        stop.set()
        await asyncio.wait({serving})
    await serving


class _Health(msgspec.Struct):
    status: str
    version: str


def connect(running: Running, token: str) -> RunClient:
    """A client of the server that said this of itself, without connections yet."""
    return RunClient(running.url, token, ssl_context=_trust(running.certificate))


def _trust(certificate: str | None) -> ssl.SSLContext | None:
    return None if certificate is None else trust_only(certificate)


async def find_running(place: Place, *, answer_s: float = ANSWER_S) -> Running | None:
    """The server of the home, which answers within ``answer_s``; None: there is none.

    What a dead one left behind is not believed.

    Raises:
        CommandError: the home's server has its data elsewhere than the command.

    """
    running = read_running(place.home)
    if running is None or not await _healthy(running, answer_s):
        return None
    wanted = None if place.database_url is None else printable_url(place.database_url)
    if running.database != wanted:
        raise CommandError(
            f"The server of the home {place.home} serves {running.database or 'its files'}, and the command means "
            f"{wanted or 'its files'}; give both the same --database, or another --home to one of them."
        )
    return running


def read_running(home: Path) -> Running | None:
    """What the home says of its server, if that process lives."""
    try:
        running = msgspec.json.decode((home / "server.json").read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    try:
        os.kill(running.pid, 0)
    except PermissionError:
        return running  # it lives, as another user's process
    except (OSError, OverflowError):
        return None
    return running


async def _healthy(running: Running, answer_s: float) -> bool:
    trust = _trust(running.certificate) or True
    try:
        async with httpx2.AsyncClient(timeout=answer_s, trust_env=False, verify=trust) as http:
            health = msgspec.json.decode((await http.get(f"{running.url}/healthz")).content, type=_Health)
    except (httpx2.HTTPError, msgspec.DecodeError):
        return False
    return health.status == "ok"
