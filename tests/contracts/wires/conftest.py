"""Fixtures of the tests over real wires: both event loops; a server over http and one over https per module."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from certificates import Secured, secure
from contracts.wires.ways import WAYS, Place, Way, keep_portable
from live import LiveServer, live_server
from seeded import SeededRun, seed_run


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on both loops that the server runs on."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """A certificate for this machine."""
    return secure(tmp_path_factory.mktemp("secured"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    """A server over http."""
    async with live_server(tmp_path_factory.mktemp("plain") / "home", access_check_s=3600.0) as live:
        yield live


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure_server(tmp_path_factory: pytest.TempPathFactory, secured: Secured) -> AsyncIterator[LiveServer]:
    """A server over https."""
    home = tmp_path_factory.mktemp("secure") / "home"
    options: dict[str, Any] = {"ssl_context": secured.trust(), "access_check_s": 3600.0, **secured.settings}
    async with live_server(home, **options) as live:
        yield live


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    """One of the ways to a server."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
def place(way: Way, request: pytest.FixtureRequest, secured: Secured, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The server at the end of that way."""
    if way.portable:
        keep_portable(monkeypatch)
    server = request.getfixturevalue("secure_server" if way.tls else "plain_server")
    return Place(server, way, secured if way.tls else None)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The test fails where the server logs an error, or asyncio an exception that nobody caught."""
    yield
    failures = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not failures, [record.getMessage() for record in failures]


@pytest_asyncio.fixture(loop_scope="module")
async def run(place: Place) -> SeededRun:
    """A run with one event."""
    return await seed_run(place.server)
