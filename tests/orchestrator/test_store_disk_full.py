"""What becomes of the store when the disk is full, in both dialects, and when there is room again."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import small_disk as small_disk_module
from postgres_server import OwnPostgresServer, own_server
from postgres_stage import SELECT
from small_disk import SmallDisk, small_disk

from orchestrator.errors import StoreError
from orchestrator.store.base import Databases, Session
from orchestrator.store.postgres import PostgresDatabases
from orchestrator.store.sqlite import SqliteDatabases

INSERT = "INSERT INTO {tenant}.projects (id, slug, name, created_at) VALUES (:id, :id, :name, {now})"

ROW_BYTES = 200_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that others can reach, too."""
    made = Path(tempfile.mkdtemp(prefix="runcast-disk-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=["mounted", "limited"])
def disk_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system that is full, where one can be mounted, and files that may not grow, which works everywhere."""
    if request.param == "limited":
        monkeypatch.setattr(small_disk_module, "_mount", lambda *_: False)
    return str(request.param)


async def insert(databases: Databases, id: str) -> None:
    """Two rows in one unit of work, which no compression makes smaller."""

    async def work(session: Session) -> None:
        for half in "ab":
            name = random.randbytes(ROW_BYTES // 2).hex()
            await session.execute(INSERT, id=f"{id}{half}", name=name)

    await databases.write("demo", work)


async def ids(databases: Databases) -> list[str]:
    """The rows that are there."""
    return [row["id"] for row in await databases.read("demo", lambda session: session.fetch_all(SELECT))]


async def fill(databases: Databases) -> list[str]:
    """Insert until there is no more room; the rows that are known to be kept."""
    kept: list[str] = []
    with pytest.raises(StoreError) as full:
        for number in range(1000):
            await insert(databases, f"{number:03}")
            kept += [f"{number:03}a", f"{number:03}b"]
    told = str(full.value)
    expected = ("disk is full", "disk I/O error", os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG))
    assert any(text in told for text in expected), told
    return kept


async def check_full_then_roomy(databases: Databases, make_room: Callable[[], Awaitable[None]]) -> None:
    """Fill the disk, see that just whole units are there, also after many more at once, and go on in a larger one."""
    kept = await fill(databases)
    assert kept
    assert await ids(databases) == kept
    outcomes = await asyncio.gather(*(insert(databases, f"x{n}") for n in range(8)), return_exceptions=True)
    assert all(isinstance(outcome, StoreError | None) for outcome in outcomes)
    kept += [f"x{n}{half}" for n, outcome in enumerate(outcomes) if outcome is None for half in "ab"]
    assert await ids(databases) == kept
    await make_room()
    await insert(databases, "y")
    assert await ids(databases) == [*kept, "ya", "yb"]


@pytest.mark.usefixtures("disk_kind")
async def test_full_disk_below_sqlite_keeps_whole_units_and_heals(folder: Path) -> None:
    """On a full disk SQLite fails as StoreError, keeps what it acknowledged, and goes on when there is room."""
    with small_disk(folder / "small", megabytes=4) as disk:
        databases = await SqliteDatabases.open(disk.folder)
        await databases.create_tenant("demo")

        async def make_room() -> None:
            disk.grow()

        await check_full_then_roomy(databases, make_room)
        await databases.close()
        databases = await SqliteDatabases.open(disk.folder)
        assert (await ids(databases))[-1] == "yb"
        await databases.close()


@pytest.mark.usefixtures("disk_kind")
async def test_full_disk_below_postgres_keeps_whole_units_and_heals(folder: Path) -> None:
    """PostgreSQL on a full disk likewise: only that database suffers, and its pool serves on."""
    with small_disk(folder / "small", megabytes=24) as disk, own_server() as server:
        with server.database() as url:
            name = url.rpartition("/")[2]
            if disk.is_mounted:
                _move(server, name, disk)
            databases = await PostgresDatabases.open(url)
            await databases.create_tenant("demo")

            async def make_room() -> None:
                disk.grow()
                if not disk.is_mounted:
                    await asyncio.to_thread(server.restart)

            await check_full_then_roomy(databases, make_room)
            await databases.close()
        if disk.is_mounted:
            server.run("DROP TABLESPACE small")


def _move(server: OwnPostgresServer, database: str, disk: SmallDisk) -> None:
    place = disk.folder / "space"
    place.mkdir()
    server.give(place)
    server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
    server.run(f"ALTER DATABASE {database} SET TABLESPACE small")
