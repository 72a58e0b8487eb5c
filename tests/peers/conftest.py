"""Fixtures of the tests with peers that others wrote: one server for each module, and the ways to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from live import LiveServer
from peers.nginx import Nginx, nginx_before
from seeded import SeededRun, seed_run
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of the module."""
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def run(server: LiveServer) -> SeededRun:
    """A run with one event."""
    return await seed_run(server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(shared: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:  # noqa: F811
    """The nginx before the server of the module."""
    async with nginx_before(shared.url, tmp_path_factory.mktemp("nginx")) as front:
        yield front


@pytest.fixture(params=["direct", "nginx-http10", "nginx-http11"])
def way(request: pytest.FixtureRequest, server: LiveServer) -> str:
    """The address by which a viewer reaches the server."""
    if request.param == "direct":
        return server.url
    front: Nginx = request.getfixturevalue("nginx")
    return front.http10 if request.param == "nginx-http10" else front.http11
