"""REST over a real connection: the server of a test module, and a client that is nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from live import LiveServer
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(server: LiveServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that brings no identity."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client
