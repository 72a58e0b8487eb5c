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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, shared_model: GatedModel) -> AsyncIterator[LiveServer]:
    """A running server, with the local project and its document."""
    home = tmp_path_factory.mktemp("shared") / "home"
    async with live_server(home, shared_model, retry_delays_s=(0.0,), max_runs_at_once=1000) as live:
        yield live
