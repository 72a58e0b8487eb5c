"""Stores of either dialect to migrate, and releases that have other revisions than this one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from orchestrator.store import MigrationReport, migrate_postgres_store, migrate_sqlite_store, migrations
from orchestrator.store.base import Databases, Row, Work
from orchestrator.store.migrations import Family, known_revisions
from orchestrator.store.postgres import PostgresDatabases
from orchestrator.store.sqlite import SqliteDatabases

TENANTS = ("acme", "demo", "zeta")

SCHEMAS = ("public", *(f"tenant_{tenant}" for tenant in TENANTS))

FIRST = "0001"

SHARED_NEWEST = known_revisions(Family.SHARED)[-1]

NEWEST = known_revisions(Family.TENANT)[-1]

FOLLOWING = f"{int(NEWEST) + 1:04}"

NEXT_FILE = f"r{FOLLOWING}_colour.py"

NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{FOLLOWING}"
down_revision = "{NEWEST}"


def upgrade():
    schema = op.get_context().version_table_schema
    op.add_column("projects", sa.Column("colour", sa.Text, server_default="red"), schema=schema)
"""

NEXT_THAT_FAILS = NEXT + '    if schema == "tenant_demo":\n        op.execute("SELECT no_such_function()")\n'


class Place:
    """A store of either dialect, which is not there yet."""

    def __init__(self, dialect: str, address: str) -> None:
        self.dialect = dialect
        self.address = address

    async def open(self) -> Databases:
        """Open it."""
        if self.dialect == "postgres":
            return await PostgresDatabases.open(self.address)
        return await SqliteDatabases.open(Path(self.address))

    async def migrate(self) -> MigrationReport:
        """Bring it up to date."""
        if self.dialect == "postgres":
            return await migrate_postgres_store(self.address)
        return await migrate_sqlite_store(Path(self.address))

    async def make(self, rows: Sequence[str] = ()) -> None:
        """Make it with the tables of the release that runs, three tenants, and rows in each."""
        if self.dialect == "postgres":
            await self.migrate()
        databases = await self.open()
        for tenant in TENANTS:
            await databases.create_tenant(tenant)
            await databases.write_shared(insert_tenant(tenant))
            for sql in rows:
                await databases.write(tenant, lambda session, sql=sql: session.execute(sql))  # type: ignore[misc]
        await databases.close()

    async def look(self, sql: str) -> list[list[Row]]:
        """What each tenant answers."""
        databases = await self.open()
        answers = [await databases.read(tenant, lambda session: session.fetch_all(sql)) for tenant in TENANTS]
        await databases.close()
        return [list(rows) for rows in answers]


def take_away(release: Path) -> None:
    """Leave of each family only the first revision, as the first release had it."""
    for family in Family:
        for file in (release.parent / family).glob("r*.py"):
            if FIRST not in file.name:
                file.unlink()


def insert_tenant(tenant: str) -> Work[None]:
    """Put it on the list of tenants."""
    sql = "INSERT INTO public.tenants (slug, created_at) VALUES (:slug, {now})"
    return lambda session: session.execute(sql, slug=tenant)


def steps(report: MigrationReport) -> dict[str, tuple[str | None, str]]:
    """From and to, for each schema."""
    return {it.schema: (it.from_revision, it.to_revision) for it in report.schemas}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where a store can be made, of each dialect."""
    if request.param == "sqlite":
        yield Place("sqlite", str(tmp_path / "home"))
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.empty_database() as url:
        yield Place("postgres", url)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release with the tenants' revisions of this one, in a directory where some can be added and taken away."""
    directory = tmp_path / "release 100%"
    shutil.copytree(migrations.HERE, directory, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "HERE", directory)
    return directory / "tenant"
