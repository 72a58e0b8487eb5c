from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from delivery_stage import ListLog
from store_material import Project, open_project
from store_openers import OPENERS

from orchestrator.store import Store
from realtime import topic as topic_module
from realtime.broadcaster import Broadcaster


@pytest.fixture(params=OPENERS)
def implementation(request: pytest.FixtureRequest) -> str:
    """The name of a store's implementation."""
    return str(request.param)


@pytest.fixture
def place(implementation: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store of that implementation can be opened, as often as one likes; nothing is in it yet."""
    return str(request.getfixturevalue("postgres_url")) if implementation == "postgres" else str(tmp_path / "home")


@pytest.fixture
async def store(implementation: str, place: str) -> AsyncIterator[Store]:
    """An empty store of each implementation."""
    async with await OPENERS[implementation](place) as store:
        yield store


@pytest.fixture
async def project(store: Store) -> Project:
    """A project of the tenant ``demo`` in an otherwise empty store."""
    return await open_project(store)


@pytest.fixture
def log() -> ListLog:
    """The log of ``delivery``."""
    return ListLog()


@pytest.fixture
async def delivery(log: ListLog, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broadcaster]:
    """A broadcaster over ``log`` that tries a failed read again at once."""
    monkeypatch.setattr(topic_module, "RETRY_S", 0.0)
    made = Broadcaster(log)
    yield made
    await made.close()
