"""Group commit, and what happens to it when SQLite fails. Faults are SQLite's own, provoked by PRAGMAs."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.base import Session
from orchestrator.store.group_commit import MOST_PER_COMMIT
from orchestrator.store.sqlite import SqliteDatabases

INSERT = "INSERT INTO {tenant}.projects (id, slug, name, created_at) VALUES (:id, :id, :id, {now})"
SELECT = "SELECT id FROM {tenant}.projects ORDER BY id"
ORPHAN = """
    INSERT INTO {tenant}.documents (id, project_id, path, version, size, digest, created_at)
    VALUES ('d', 'nobody', 'a.md', 1, 0, '', {now})
"""


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[SqliteDatabases]:
    """A home with one tenant and little patience for other processes."""
    databases = await SqliteDatabases.open(tmp_path, busy_timeout_s=0.2)
    await databases.create_tenant("demo")
    yield databases
    await databases.close()


async def insert(databases: SqliteDatabases, *ids: str) -> None:
    """One unit of work with a row for each id."""

    async def work(session: Session) -> None:
        for id in ids:
            await session.execute(INSERT, id=id)

    await databases.write("demo", work)


async def ids(databases: SqliteDatabases) -> list[str]:
    """The rows that are there."""
    return [row["id"] for row in await databases.read("demo", lambda session: session.fetch_all(SELECT))]


def commits(home: Path) -> int:
    """Commit frames in the tenant's write-ahead log: those that give the size of the database after a commit."""
    if not (home / "tenants" / "demo.db-wal").exists():
        return 0
    log = (home / "tenants" / "demo.db-wal").read_bytes()
    page_size, salt = struct.unpack(">8xI4x8s", log[:24])
    frames = [log[start : start + 24] for start in range(32, len(log), 24 + page_size)]
    return sum(1 for frame in frames if frame[8:16] == salt and frame[4:8] != b"\0\0\0\0")


async def test_write_units_that_wait_share_a_commit(databases: SqliteDatabases, tmp_path: Path) -> None:
    """Forty units at once are durable after two COMMITs: the first begins at once, the others share the second."""
    await insert(databases, "before")
    before = commits(tmp_path)
    await asyncio.gather(*(insert(databases, f"p{number}") for number in range(40)))
    assert len(await ids(databases)) == 41
    assert commits(tmp_path) - before == 2


async def test_write_crowd_is_divided(databases: SqliteDatabases, tmp_path: Path) -> None:
    """A transaction takes at most so many units, so that the first of a crowd does not wait for all."""
    before = commits(tmp_path)
    await asyncio.gather(*(insert(databases, f"p{number}") for number in range(2 * MOST_PER_COMMIT + 2)))
    assert commits(tmp_path) - before == 4


async def test_write_one_after_the_other_commits_each(databases: SqliteDatabases, tmp_path: Path) -> None:
    """A unit that nobody waits beside is committed before it returns."""
    before = commits(tmp_path)
    for number in range(3):
        await insert(databases, f"p{number}")
        assert commits(tmp_path) - before == number + 1


async def test_write_that_raises_takes_back_only_itself(databases: SqliteDatabases) -> None:
    """Of units in one transaction, those that raise leave nothing, and the others are kept."""

    async def work(session: Session) -> None:
        await session.execute(INSERT, id="half")
        raise LookupError("changed its mind")

    outcomes = await asyncio.gather(
        insert(databases, "a"),
        databases.write("demo", work),
        insert(databases, "b"),
        insert(databases, "c", "b"),
        insert(databases, "d"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), LookupError, type(None), StoreError, type(None)]
    assert isinstance(outcomes[3].__cause__, sqlite3.IntegrityError)
    assert await ids(databases) == ["a", "b", "d"]


async def test_commit_that_fails_fails_all_its_units(databases: SqliteDatabases) -> None:
    """When COMMIT itself fails, every unit of that transaction gets StoreError, none is kept, and the next works."""

    async def orphan(session: Session) -> None:
        await session.execute("PRAGMA defer_foreign_keys = ON")
        await session.execute(ORPHAN)

    outcomes = await asyncio.gather(
        insert(databases, "a"),
        insert(databases, "b"),
        databases.write("demo", orphan),
        insert(databases, "c"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreError, StoreError, StoreError]
    assert len({id(outcome) for outcome in outcomes}) == 4
    for _ in range(5):
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            await databases.write("demo", orphan)
    await insert(databases, "d")
    assert await ids(databases) == ["a", "d"]


async def test_full_disk_fails_with_store_error_and_heals(databases: SqliteDatabases) -> None:
    """SQLite takes a whole transaction back when the disk is full: all its units fail, and later ones work."""

    async def fill(session: Session) -> None:
        await session.execute('PRAGMA "tenant_demo".max_page_count = 1')
        await session.execute(INSERT, id="x" * 1_000_000)

    outcomes = await asyncio.gather(
        insert(databases, "a"),
        insert(databases, "b"),
        databases.write("demo", fill),
        insert(databases, "c"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreError, StoreError, StoreError]

    async def make_room(session: Session) -> None:
        await session.execute('PRAGMA "tenant_demo".max_page_count = 1000000')

    await databases.write("demo", make_room)
    await insert(databases, "d")
    assert await ids(databases) == ["a", "d"]


async def test_read_only_database_fails_with_store_error(databases: SqliteDatabases) -> None:
    """A database that may not be written refuses writes as StoreError, and reads go on."""

    async def forbid(session: Session) -> None:
        await session.execute("PRAGMA query_only = ON")

    await insert(databases, "a")
    await databases.write("demo", forbid)
    with pytest.raises(StoreError, match="readonly"):
        await insert(databases, "b")
    assert await ids(databases) == ["a"]


async def test_read_that_writes_is_refused(databases: SqliteDatabases) -> None:
    """A unit of work for reading cannot write, and its connection is as good as before."""
    for _ in range(8):
        with pytest.raises(StoreError, match="readonly"):
            await databases.read("demo", lambda session: session.execute(INSERT, id="a"))
    assert await ids(databases) == []


async def test_read_that_raises_gives_its_connection_back(databases: SqliteDatabases) -> None:
    """More failing reads than there are readers leave all readers usable."""
    for _ in range(8):
        with pytest.raises(StoreError, match="no such table"):
            await databases.read("demo", lambda session: session.fetch_all("SELECT 1 FROM {tenant}.no_table"))
    async with asyncio.timeout(30):
        await asyncio.gather(*(ids(databases) for _ in range(8)))


async def test_write_beside_another_process_waits_then_fails(databases: SqliteDatabases, tmp_path: Path) -> None:
    """A writer that holds the file is waited for, so long and no longer; meanwhile reads and other tenants go on."""
    await databases.create_tenant("acme")
    with closing(sqlite3.connect(tmp_path / "tenants" / "demo.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await insert(databases, "a")
        waiting = asyncio.create_task(insert(databases, "b"))
        assert await ids(databases) == []
        await databases.write("acme", lambda session: session.execute(INSERT, id="z"))
        other.execute("COMMIT")
        await waiting
    assert await ids(databases) == ["b"]


async def test_writer_task_cancelled_settles_all_its_units(databases: SqliteDatabases) -> None:
    """When the loop itself goes down amid a transaction, nobody waits for ever, and the connection serves again."""
    entered = asyncio.Event()
    tasks = set(asyncio.all_tasks())

    async def stuck(session: Session) -> None:
        await session.execute(INSERT, id="stuck")
        entered.set()
        await asyncio.Event().wait()

    callers = [asyncio.create_task(databases.write("demo", stuck)), asyncio.create_task(insert(databases, "a"))]
    await entered.wait()
    for task in asyncio.all_tasks() - tasks:
        task.cancel()
    async with asyncio.timeout(30):
        await asyncio.gather(*callers, return_exceptions=True)
        await insert(databases, "b")
    kept = await ids(databases)
    assert "b" in kept
    assert "stuck" not in kept


async def test_connection_that_cannot_be_mended_is_replaced(databases: SqliteDatabases) -> None:
    """A unit of work that closes the connection under the store costs its own transaction; the next has another."""

    async def break_connection(session: Session) -> None:
        await session.execute(INSERT, id="lost")
        connection = session._database.connection().raw_connection  # type: ignore[attr-defined]
        await connection.close()

    for _ in range(3):
        with pytest.raises(StoreError):
            await databases.write("demo", break_connection)
        await insert_once(databases)
    assert await ids(databases) == ["kept"]


async def insert_once(databases: SqliteDatabases) -> None:
    """Insert a row, unless it is there."""
    sql = INSERT + " ON CONFLICT DO NOTHING"
    await databases.write("demo", lambda session: session.execute(sql, id="kept"))
