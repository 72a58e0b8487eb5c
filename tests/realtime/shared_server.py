"""One server for all tests of a module that do not mind each other's runs and documents."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from live import GatedModel, LiveServer, live_server


@pytest.fixture(scope="module")
def shared_model() -> GatedModel:
    """The model of ``shared``."""
    return GatedModel()


@pytest.fixture(scope="module")
def shared_database_url() -> str | None:
    """Where ``shared`` keeps everything; a module may have another."""
    return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, shared_model: GatedModel, shared_database_url: str | None
) -> AsyncIterator[LiveServer]:
    """A running server, with the local project and its document."""
    home = tmp_path_factory.mktemp("shared") / "home"
    settings = {"retry_delays_s": (0.0,), "max_runs_at_once": 1000, "database_url": shared_database_url}
    async with live_server(home, shared_model, **settings) as live:
        yield live
