# ruff: noqa: ASYNC220, ASYNC240  # nothing else runs in the loop that could be held up
"""From the tables of one release to those of the next, with data in them, in both dialects."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from migration_stage import (
    FIRST,
    FOLLOWING,
    NEWEST,
    NEXT,
    NEXT_FILE,
    NEXT_THAT_FAILS,
    SCHEMAS,
    SHARED_NEWEST,
    TENANTS,
    Place,
    insert_tenant,
    place,
    release,
    steps,
    take_away,
)
from postgres_server import PostgresServer

from orchestrator.errors import StoreError
from orchestrator.store import (
    NewerSchemaError,
    OlderSchemaError,
    migrate_postgres_store,
    migrate_sqlite_store,
    open_postgres_store,
)
from orchestrator.store.base import Databases, Row, Session, Value
from orchestrator.store.postgres import PostgresDatabases
from orchestrator.store.postgres_schema import check_schemas

__all__ = ["place", "release"]

WRITER = Path(__file__).with_name("migration_writer.py")

OLD_ROWS = (
    "INSERT INTO {tenant}.projects (id, slug, name, created_at) VALUES ('p', 'web', 'Web', {now})",
    "INSERT INTO {tenant}.documents (id, project_id, path, version, size, digest, created_at)"
    " VALUES ('d', 'p', 'a.md', 2, 4, '', {now})",
    "INSERT INTO {tenant}.document_versions (document_id, version, text, created_at) VALUES ('d', 1, 'Ünï', {now})",
    "INSERT INTO {tenant}.document_versions (document_id, version, text, created_at) VALUES ('d', 2, 'four', {now})",
    "INSERT INTO {tenant}.agent_runs (id, project_id, status, pipeline_mode, agents_selected, last_event_id,"
    " started_by, claim_token, created_at)"
    " VALUES ('under way', 'p', 'running', 'sequential', '[]', 0, 'u', 'claimed', {now})",
    "INSERT INTO {tenant}.agent_runs (id, project_id, status, pipeline_mode, agents_selected, last_event_id,"
    " started_by, claim_token, created_at, ended_at)"
    " VALUES ('ended', 'p', 'completed', 'sequential', '[]', 0, 'u', 'claimed', {now}, {now})",
)

NEXT_THAT_HANGS = NEXT + '    if schema == "tenant_demo":\n        print("here", flush=True)\n        input()\n'


async def test_migrate_from_the_first_release_keeps_all_data(
    place: Place, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of the first release is refused until it is migrated; then its rows are there, and what is new."""
    take_away(release)
    await place.make(OLD_ROWS)
    monkeypatch.undo()
    with pytest.raises(OlderSchemaError, match=rf"'{FIRST}'; expected .*runcast migrate"):
        await place.open()
    expected = dict.fromkeys(SCHEMAS, (FIRST, NEWEST)) | {"public": (FIRST, SHARED_NEWEST)}
    assert steps(await place.migrate()) == expected
    versions = "SELECT version, text, size, added_by FROM {tenant}.document_versions ORDER BY version"
    kept = [
        {"version": 1, "text": "Ünï", "size": 5, "added_by": None},
        {"version": 2, "text": "four", "size": 4, "added_by": None},
    ]
    assert await place.look(versions) == [kept] * 3
    turns = [{"name": "tenant", "turn": 0}]
    assert await place.look("SELECT name, turn FROM {tenant}.quota_turns") == [turns] * 3
    databases = await place.open()
    assert set(await databases.open_runs(free=True)) == {(tenant, "under way") for tenant in TENANTS}
    await databases.close()
    assert steps(await place.migrate()) == {schema: (to, to) for schema, (_, to) in expected.items()}


async def test_migrate_that_fails_midway_goes_on_when_it_can(place: Place, release: Path) -> None:
    """A revision that fails in one schema leaves that one as it was; the next time starts with it."""
    await place.make()
    (release / NEXT_FILE).write_text(NEXT_THAT_FAILS)
    with pytest.raises(StoreError, match="no_such_function"):
        await place.migrate()
    (release / NEXT_FILE).write_text(NEXT + "    # and this time without a fault\n")
    report = steps(await place.migrate())
    assert [report[schema] for schema in SCHEMAS[1:]] == [
        (FOLLOWING, FOLLOWING),
        (NEWEST, FOLLOWING),
        (NEWEST, FOLLOWING),
    ]
    assert await place.look("SELECT colour FROM {tenant}.projects") == [[], [], []]


async def test_migrate_that_is_killed_midway_goes_on(place: Place, release: Path) -> None:
    """A migration killed within a schema leaves that one as it was; the next time starts with it."""
    await place.make()
    (release / NEXT_FILE).write_text(NEXT_THAT_HANGS)
    command = [sys.executable, str(WRITER), place.dialect, place.address, str(release.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "here\n"
        writer.kill()
    (release / NEXT_FILE).write_text(NEXT + "    # and this time without a wait\n")
    report = steps(await place.migrate())
    assert [report[schema] for schema in SCHEMAS[1:]] == [
        (FOLLOWING, FOLLOWING),
        (NEWEST, FOLLOWING),
        (NEWEST, FOLLOWING),
    ]


async def test_migrate_twice_at_once_is_one_after_the_other(place: Place, release: Path) -> None:
    """Of two migrations at the same moment, each schema is brought up to date by exactly one."""
    await place.make()
    (release / NEXT_FILE).write_text(NEXT)
    reports = [steps(report) for report in await asyncio.gather(place.migrate(), place.migrate())]
    for schema in SCHEMAS[1:]:
        assert sorted(report[schema] for report in reports) == [(NEWEST, FOLLOWING), (FOLLOWING, FOLLOWING)]


async def test_migrate_and_open_of_a_newer_release_are_refused(place: Place, release: Path) -> None:
    """What a newer release has written is neither opened nor changed; the message names its revision and ours."""
    (release / NEXT_FILE).write_text(NEXT)
    await place.make()
    (release / NEXT_FILE).unlink()
    for refused in (place.open, place.migrate):
        with pytest.raises(NewerSchemaError, match=rf"tenant_acme.*'{FOLLOWING}'.*{FIRST} to {NEWEST}"):
            await refused()


async def test_tenant_of_an_older_release_is_refused_while_open(place: Place, release: Path) -> None:
    """A tenant that an older release makes beside an open store is not upgraded behind its back."""
    (release / NEXT_FILE).write_text(NEXT)
    databases = await _open_made(place)
    (release / NEXT_FILE).unlink()
    older = await place.open()
    await older.create_tenant("late")
    await older.close()
    (release / NEXT_FILE).write_text(NEXT)
    for use in (databases.create_tenant("late"), databases.read("late", _nothing)):
        with pytest.raises(OlderSchemaError, match="tenant_late"):
            await use
    await databases.close()


async def _open_made(place: Place) -> Databases:
    if place.dialect == "postgres":
        await place.migrate()
    return await place.open()


async def _nothing(session: Session) -> None:
    """Read nothing."""


async def test_open_of_an_empty_postgres_database_is_refused(postgres: PostgresServer) -> None:
    """A database without tables is not filled by opening it; the message says what does."""
    with postgres.empty_database() as url:
        with pytest.raises(OlderSchemaError, match=r"no Runcast tables yet.*runcast migrate"):
            await open_postgres_store(url)
        assert steps(await migrate_postgres_store(url)) == {"public": (None, SHARED_NEWEST)}
        async with await open_postgres_store(url) as store:
            assert await store.accounts.list_tenants() == ()


async def test_migrate_without_a_sqlite_home_is_refused(tmp_path: Path) -> None:
    """There is nothing to migrate where no store is, and none is made."""
    with pytest.raises(StoreError, match="no store"):
        await migrate_sqlite_store(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_create_tenant_by_two_stores_at_once_makes_it_once(postgres_url: str) -> None:
    """Two stores on one database make the same tenants at the same moment; both can use them."""
    stores = [await PostgresDatabases.open(postgres_url) for _ in range(2)]
    await asyncio.gather(*(store.create_tenant(tenant) for store in stores for tenant in TENANTS))
    for store in stores:
        for tenant in TENANTS:
            await store.read(tenant, lambda session: session.fetch_all("SELECT id FROM {tenant}.projects"))
        await store.close()


async def test_migrate_leaves_schemas_of_no_tenant_alone(postgres: PostgresServer, release: Path) -> None:
    """A schema that is called like a tenant's and is none is not touched."""
    with postgres.empty_database() as url:
        place = Place("postgres", url)
        await place.make()
        databases = await place.open()
        await databases.create_tenant("leftover")
        await databases.close()
        (release / NEXT_FILE).write_text(NEXT)
        assert set(steps(await place.migrate())) == set(SCHEMAS)
        async with await open_postgres_store(url) as store:
            with pytest.raises(OlderSchemaError, match="tenant_leftover"):
                await store.runs.get_run("leftover", "r")


class CountingSession:
    """What reads schemas needs of a session, and how often it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.statements = 0

    async def fetch_all(self, sql: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        self.statements += 1
        return await self._session.fetch_all(sql, **values)


async def test_open_with_many_tenants_takes_as_many_statements_as_with_one(postgres_url: str) -> None:
    """The revisions of all tenants are read together."""
    databases = await PostgresDatabases.open(postgres_url)
    statements = []

    async def count(session: Session) -> None:
        counting = CountingSession(session)
        await check_schemas(counting)  # type: ignore[arg-type]
        statements.append(counting.statements)

    for number in range(5):
        await databases.create_tenant(f"t{number}")
        await databases.write_shared(insert_tenant(f"t{number}"))
        await databases.read_shared(count)
    await databases.close()
    assert statements == statements[:1] * 5
