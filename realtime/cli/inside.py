"""The one place where the command line reaches the inside of a server. Costly to import: commands do it late."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from realtime.cli.errors import BadUseError, CommandError
from realtime.ports import DocumentInfo, RefusedError
from realtime.server import Running, ServerError, serve
from realtime.settings import Settings, SettingsError
from realtime.wiring import Home, HomeLockedError, mint_token, new_sign_in_link, open_home

ANSWER_S = 3.0
"""How long a server that is said to run may take to say so."""


@contextlib.contextmanager
def _explained(home: Path) -> Iterator[None]:
    """What fails at the home becomes a `CommandError` that a person can do something about."""
    try:
        yield
    except (CommandError, BrokenPipeError):
        raise
    except (HomeLockedError, ServerError) as error:
        raise CommandError(str(error)) from None
    except Exception as error:  # the files of a home can be spoilt in more ways than there are types of errors
        raise CommandError(f"The home {home} cannot be used: {' '.join(str(error).split())}") from error


def read_settings(home: Path, **flags: object) -> Settings:
    """The settings of a server of that home: ``flags`` that are not None, else the environment.

    Raises:
        BadUseError: one of them cannot be read or used.

    """
    try:
        return Settings.from_environment(home=home, **flags)
    except SettingsError as error:
        raise BadUseError(str(error)) from None


def is_home(home: Path) -> bool:
    """True where something was kept before."""
    return (home / "secret").exists()


class Served:
    """A server inside this process."""

    def __init__(self, url: str, home: Home, stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
        self.url = url
        self.home = home
        self._stop = stop
        self._serving = serving

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
        CommandError: the home is served by another process, or its address is taken.

    """
    stop = asyncio.Event()
    ready: asyncio.Future[tuple[str, Home]] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(serve(settings, ready=lambda url, home: ready.set_result((url, home)), stop=stop))
    either: set[asyncio.Future[Any]] = {serving, ready}
    try:
        with _explained(settings.home):
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


async def find_running(home: Path) -> str | None:
    """Where the server of that home answers; None: there is none. What a dead one left behind is not believed."""
    try:
        running = msgspec.json.decode((home / "server.json").read_bytes(), type=Running)
        os.kill(running.pid, 0)
    except PermissionError:
        pass  # it lives, as another user's process
    except (OSError, msgspec.DecodeError):
        return None
    return running.url if await _healthy(running.url) else None


async def _healthy(url: str) -> bool:
    try:
        async with httpx2.AsyncClient(timeout=ANSWER_S, trust_env=False) as http:
            health = msgspec.json.decode((await http.get(f"{url}/healthz")).content, type=_Health)
    except (httpx2.HTTPError, msgspec.DecodeError):
        return False
    return health.status == "ok"


async def make_token(home: Path) -> str:
    """A token of the home's own user, whoever serves the home."""
    settings = read_settings(home)
    with _explained(home):
        return await mint_token(settings)


async def make_link(home: Path, url: str) -> str:
    """A one-time sign-in link to the server at ``url``, which serves the home."""
    settings = read_settings(home)
    with _explained(home):
        return await new_sign_in_link(settings, url)


class OpenHome:
    """A home that this process alone has open, without a server."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def upload(self, path: str, content: bytes) -> DocumentInfo:
        """Keep a document.

        Raises:
            CommandError: it cannot be kept; the message says why.

        """
        try:
            return await self._home.import_document(path, content)
        except RefusedError as refused:
            raise CommandError(refused.message) from None


@contextlib.asynccontextmanager
async def opened(home: Path) -> AsyncIterator[OpenHome]:
    """The home, for importing without a server.

    Raises:
        CommandError: another process has it open, or its files cannot be used.

    """
    settings = read_settings(home)
    with _explained(home):
        async with open_home(settings) as entered:
            yield OpenHome(entered)
