"""What ends a migration: lost data, a server at work, a failing revision; and what its text says."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from migration_stage import (
    FOLLOWING,
    NEWEST,
    NEXT,
    NEXT_FILE,
    NEXT_THAT_FAILS,
    SHARED_NEWEST,
    Place,
    place,
    release,
    steps,
)
from postgres_server import PASSWORD, PostgresServer

from orchestrator.errors import StoreError
from orchestrator.store import (
    DatabaseInUseError,
    migrate_postgres_store,
    open_postgres_store,
    postgres_migrations,
    share_server_lock,
)
from orchestrator.store.base import MissingTenantError

__all__ = ["place", "release"]


async def _lose(place: Place, tenant: str) -> None:
    """Have a tenant's data go, as where a backup was restored in part."""
    if place.dialect == "sqlite":
        (Path(place.address) / f"tenants/{tenant}.db").unlink()
        return
    connection = await asyncpg.connect(place.address)
    await connection.execute(f"DROP SCHEMA tenant_{tenant} CASCADE")
    await connection.close()


async def test_listed_tenant_without_data_is_neither_opened_nor_made_anew(place: Place) -> None:
    """A lost tenant is not replaced by an empty one, by opening or migrating; the text says what to do."""
    await place.make()
    await _lose(place, "demo")
    for refused in (place.open, place.migrate, place.open):
        with pytest.raises(MissingTenantError, match=r"The data of tenant 'demo' is missing.*Restore a backup"):
            await refused()


async def test_migrate_that_fails_says_where_why_and_how_far_it_came(place: Place, release: Path) -> None:
    """The text names the schema and has one line of the database's own words, and what is done already."""
    await place.make()
    (release / NEXT_FILE).write_text(NEXT_THAT_FAILS)
    with pytest.raises(StoreError) as failed:
        await place.migrate()
    told = str(failed.value)
    assert "tenant_demo" in told
    assert "no_such_function" in told
    assert told.endswith("Done before that, and kept: 2 schemas up to tenant_acme.")
    assert "\n" not in told
    assert "SELECT no_such_function" not in told
    assert "sqlalche" not in told


async def test_migrate_beside_a_server_is_refused_and_tenants_are_made(postgres_url: str) -> None:
    """Tables do not change under servers, the last one included, which goes on making tenants; then they do."""
    async with share_server_lock(postgres_url):
        async with share_server_lock(postgres_url):
            with pytest.raises(DatabaseInUseError, match="Stop every server first"):
                await migrate_postgres_store(postgres_url)
        with pytest.raises(DatabaseInUseError, match="Stop every server first") as refused:
            await migrate_postgres_store(postgres_url)
        assert PASSWORD not in str(refused.value)
        async with await open_postgres_store(postgres_url) as store:
            await store.accounts.ensure_tenant("acme")
    assert set(steps(await migrate_postgres_store(postgres_url))) == {"public", "tenant_acme"}
    async with share_server_lock(postgres_url):
        pass


async def test_migrate_does_not_wait_for_ever_for_a_table(
    postgres: PostgresServer, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds a table ends the migration with an error in time, for behind it everybody else would wait."""
    monkeypatch.setattr(postgres_migrations, "LOCK_TIMEOUT", "50ms")
    with postgres.empty_database() as url:
        place = Place("postgres", url)
        await place.make()
        (release / NEXT_FILE).write_text(NEXT)
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("SELECT id FROM tenant_demo.projects")
            with pytest.raises(StoreError, match="migrating tenant_demo: LockNotAvailableError"):
                await place.migrate()
        await other.close()
        assert steps(await place.migrate())["tenant_demo"] == (NEWEST, FOLLOWING)


async def test_migrate_needs_no_right_to_create_schemas_that_are_there(postgres: PostgresServer) -> None:
    """A role that may only make tables in the shared schema can make them."""
    with postgres.empty_database() as url:
        database = urlsplit(url).path.removeprefix("/")
        owner = f"role_{database}"
        postgres.run(f"CREATE ROLE {owner} LOGIN PASSWORD '{PASSWORD}'")
        try:
            postgres.run(f"GRANT ALL ON SCHEMA public TO {owner}", database=database)
            report = await migrate_postgres_store(url.replace("//postgres:", f"//{owner}:"))
            assert steps(report) == {"public": (None, SHARED_NEWEST)}
            made_by = "SELECT tableowner FROM pg_tables WHERE tablename = 'tenants'"
            assert postgres.run(made_by, database=database)[0][0] == owner
        finally:
            postgres.run(f"DROP OWNED BY {owner}", database=database)
            postgres.run(f"DROP ROLE {owner}")


async def test_new_home_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Files made in a directory that others may enter are closed to them, with what SQLite makes beside them."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    place = Place("sqlite", str(home))
    await place.make()
    databases = await place.open()
    with contextlib.closing(sqlite3.connect(home / "shared.db")) as connection:
        connection.execute("SELECT slug FROM tenants").fetchall()
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in home.rglob("*") if file.is_file()}
    await databases.close()
    assert {"shared.db", "shared.db-wal", "shared.db-shm", "demo.db"} <= set(modes)
    assert set(modes.values()) == {"0o600"}, modes
