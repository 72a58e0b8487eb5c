from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from run_stage import RunStage
from service_stage import Service
from store_material import open_project
from structlog.testing import capture_logs

from orchestrator.store import open_sqlite_store


@pytest.fixture(scope="session")
def furnished_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A closed store whose one project has two documents, to be copied; and the project's id."""
    home = tmp_path_factory.mktemp("furnished") / "home"

    async def furnish() -> str:
        async with await open_sqlite_store(home) as store:
            stage = RunStage(store, (await open_project(store)).id)
            await stage.add_document("b.md", "The system MUST answer.")
            await stage.add_document("a.md", "- AC-1: It answers.")
            return stage.project_id

    return home, asyncio.run(furnish())


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, instead of being written."""
    with capture_logs() as logged:
        yield logged


@pytest.fixture
async def stage(furnished_home: tuple[Path, str], tmp_path: Path, logged: object) -> AsyncIterator[RunStage]:
    """A project with two documents in a real store, and nobody at work."""
    template, project_id = furnished_home
    home = shutil.copytree(template, tmp_path / "home")
    async with await open_sqlite_store(home) as store:
        yield RunStage(store, project_id)


@pytest.fixture
async def service(stage: RunStage) -> AsyncIterator[Service]:
    """What opens orchestrators over the stage."""
    async with AsyncExitStack() as opened:
        yield Service(stage, opened)
