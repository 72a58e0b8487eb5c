from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_material import Project, open_project
from store_openers import OPENERS

from orchestrator.store import Store


@pytest.fixture(params=OPENERS)
def implementation(request: pytest.FixtureRequest) -> str:
    """The name of a store's implementation."""
    return str(request.param)


@pytest.fixture
async def store(implementation: str, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each implementation."""
    async with await OPENERS[implementation](tmp_path / "home") as store:
        yield store


@pytest.fixture
async def project(store: Store) -> Project:
    """A project of the tenant ``demo`` in an otherwise empty store."""
    return await open_project(store)
