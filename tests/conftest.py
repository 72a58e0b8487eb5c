"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from live import GatedModel, LiveServer, live_server
from postgres_server import PostgresServer, running_server


@pytest.fixture
def model() -> GatedModel:
    """The model of ``server``, driven by the test."""
    return GatedModel()


@pytest.fixture
async def server(tmp_path: Path, model: GatedModel) -> AsyncIterator[LiveServer]:
    """A running server whose agents wait for ``model``; retries come at once."""
    async with live_server(tmp_path / "home", model, retry_delays_s=(0.0, 0.0, 0.0)) as live:
        yield live


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL that all tests of this process share."""
    with running_server() as running:
        yield running


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of its own for a test, with the tables of this release and no tenant."""
    with postgres.database() as url:
        yield url
