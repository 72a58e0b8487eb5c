"""A server over https, and its viewers over HTTP/2."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from certificates import Secured, secure
from live import LiveServer, live_server
from seeded import SeededRun


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    """A certificate for this machine."""
    return secure(tmp_path)


@pytest.fixture
async def server(tmp_path: Path, secured: Secured) -> AsyncIterator[LiveServer]:
    """A running server over https."""
    async with live_server(tmp_path / "home", ssl_context=secured.trust(), **secured.settings) as live:
        yield live


@contextlib.asynccontextmanager
async def http2(server: LiveServer, secured: Secured) -> AsyncIterator[httpx2.AsyncClient]:
    """The local user over HTTP/2."""
    trust = secured.trust()
    async with httpx2.AsyncClient(http2=True, verify=trust, base_url=server.url, headers=server.headers) as client:
        yield client


def address_of(server: LiveServer) -> tuple[str, int]:
    """Where the server listens."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def stream_of(run: SeededRun) -> str:
    """The path of a run's SSE stream."""
    return f"/api/v1/events/agent-runs/{run.id}"
