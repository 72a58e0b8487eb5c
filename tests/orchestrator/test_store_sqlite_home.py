# ruff: noqa: ASYNC221, ASYNC240  # nothing else runs in the loop that could be held up
"""The home directory: its settings, its migrations, and what it does when it cannot be opened."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from orchestrator.errors import StoreError
from orchestrator.store import migrations, open_sqlite_store
from orchestrator.store.base import NewerSchemaError, Session
from orchestrator.store.migrations import Family, known_revisions
from orchestrator.store.sqlite import SqliteDatabases


async def make_home(home: Path) -> str:
    """Open the home, see to a tenant with a project in it, close it: the project's id."""
    async with await open_sqlite_store(home) as store:
        await store.accounts.ensure_tenant("demo")
        return (await store.accounts.ensure_project("demo", "web", "Web")).id


def check_threads(before: set[threading.Thread]) -> None:
    """Assert that no thread stays but those that were there before; one may still be on its way out."""
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


async def pragma(session: Session, name: str) -> object:
    """The one value of a setting."""
    (row,) = await session.fetch_all(f"PRAGMA {name}")
    (value,) = row.values()
    return value


@pytest.mark.parametrize("schema", ["public", "tenant_demo"])
async def test_settings_of_the_writer_are_those_of_the_attached_schema(tmp_path: Path, schema: str) -> None:
    """The writer's commits are durable: WAL and synchronous FULL on the file that is attached, with foreign keys."""
    databases = await SqliteDatabases.open(tmp_path)
    await databases.create_tenant("demo")

    async def look(session: Session) -> list[object]:
        names = [f'"{schema}".journal_mode', f'"{schema}".synchronous']
        names += ["foreign_keys", "busy_timeout", "cell_size_check", "query_only"]
        return [await pragma(session, name) for name in names]

    async def write(work):
        return await (databases.write_shared(work) if schema == "public" else databases.write("demo", work))

    async def read(work):
        return await (databases.read_shared(work) if schema == "public" else databases.read("demo", work))

    assert await write(look) == ["wal", 2, 1, 5000, 1, 0]
    assert await read(look) == ["wal", 2, 1, 5000, 1, 1]
    await databases.close()


async def test_home_is_one_file_per_tenant_beside_a_shared_one(tmp_path: Path) -> None:
    """Closing leaves just the databases, each with its write-ahead log moved into it."""
    await make_home(tmp_path / "deep" / "home")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["deep/home/shared.db", "deep/home/tenants/demo.db"]


async def test_open_again_migrates_nothing_and_imports_no_alembic(tmp_path: Path) -> None:
    """A home that is up to date is only looked at: the migration tool is not even imported."""
    await make_home(tmp_path)
    script = (
        "import asyncio, pathlib, sys\n"
        "from orchestrator.store import open_sqlite_store\n"
        "async def main():\n"
        "    async with await open_sqlite_store(pathlib.Path(sys.argv[1])) as store:\n"
        "        assert await store.accounts.list_tenants() == ('demo',)\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, timeout=30)


@pytest.mark.parametrize("file", ["shared.db", "tenants/demo.db"])
async def test_open_home_of_a_newer_release_is_refused(tmp_path: Path, file: str) -> None:
    """What a newer release has written is not touched; the message names both revisions."""
    await make_home(tmp_path)
    with closing(sqlite3.connect(tmp_path / file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = set(threading.enumerate())
    with pytest.raises(NewerSchemaError, match=r"'9999'.*0001"):
        await open_sqlite_store(tmp_path)
    check_threads(before)


async def test_open_half_made_tenant_completes_it(tmp_path: Path) -> None:
    """A tenant whose file was made but not filled when the machine went down is completed at the next start."""
    await make_home(tmp_path)
    (tmp_path / "tenants" / "acme.db").touch()
    (tmp_path / "tenants" / "No Slug.db").touch()
    async with await open_sqlite_store(tmp_path) as store:
        await store.accounts.ensure_project("acme", "web", "Web")


async def test_tenant_made_by_another_process_is_found(tmp_path: Path) -> None:
    """A tenant that was not there when the home was opened is there once it has been made."""
    async with await open_sqlite_store(tmp_path) as store, await open_sqlite_store(tmp_path) as other:
        await other.accounts.ensure_tenant("late")
        await store.accounts.ensure_project("late", "web", "Web")
        assert await store.accounts.list_tenants() == ("late",)


async def test_open_what_is_no_database_fails_with_store_error(tmp_path: Path) -> None:
    """A home that is a file, or holds what is no database, is a StoreError with its cause, and no thread stays."""
    before = set(threading.enumerate())
    (tmp_path / "file").write_text("not a home")
    with pytest.raises(StoreError) as refused:
        await open_sqlite_store(tmp_path / "file")
    assert isinstance(refused.value.__cause__, OSError)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "shared.db").write_text("no database " * 1000)
    with pytest.raises(StoreError) as refused:
        await open_sqlite_store(tmp_path / "home")
    assert isinstance(refused.value.__cause__, sqlite3.Error)
    check_threads(before)


async def test_file_lost_while_open_fails_with_store_error(tmp_path: Path) -> None:
    """When a file cannot be opened for its first use, that is a StoreError, each time, and closing still works."""
    await make_home(tmp_path)
    before = set(threading.enumerate())
    store = await open_sqlite_store(tmp_path)
    (tmp_path / "tenants" / "demo.db").unlink()
    (tmp_path / "tenants" / "demo.db").mkdir()
    for _ in range(5):
        with pytest.raises(StoreError):
            await store.runs.get_run("demo", "r")
        with pytest.raises(StoreError):
            await store.accounts.ensure_project("demo", "web", "Web")
    await store.close()
    check_threads(before)


async def test_migration_leaves_logging_alone(tmp_path: Path) -> None:
    """Creating a home configures no logger of the program around it."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("alembic").level)
    await make_home(tmp_path)
    assert (root.level, list(root.handlers), logging.getLogger("alembic").level) == before


@pytest.mark.parametrize("family", list(Family))
def test_known_revisions_are_those_of_alembic(family: Family) -> None:
    """The revisions read from file names are one line, and the same that Alembic reads from the files."""
    config = Config()
    config.set_main_option("script_location", str(migrations.HERE))
    config.set_main_option("version_locations", str(migrations.HERE / family))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)
    walked = [revision.revision for revision in script.walk_revisions()]
    assert walked[::-1] == list(known_revisions(family))
    assert script.get_heads() == [known_revisions(family)[-1]]
