"""A server on each database: for what must hold on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from live import GatedModel, LiveServer, live_server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Where the server keeps everything: None is SQLite in its home."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def server(tmp_path: Path, model: GatedModel, database_url: str | None) -> AsyncIterator[LiveServer]:
    """A running server whose agents wait for ``model``; retries come at once."""
    delays = (0.0, 0.0, 0.0)
    async with live_server(tmp_path / "home", model, retry_delays_s=delays, database_url=database_url) as live:
        yield live
