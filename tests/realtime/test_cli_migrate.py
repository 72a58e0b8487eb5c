"""``runcast migrate`` on stores of an older release, in both databases, and what other commands say before."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from cli_stage import finish, read_until, refused, spawn, told
from place_stage import dialect, elsewhere, home, spec
from postgres_server import PostgresServer

from orchestrator.store import migrate_postgres_store, migrations, open_postgres_store, open_sqlite_store
from orchestrator.store.migrations import Family, known_revisions

__all__ = ["dialect", "elsewhere", "home", "spec"]

TENANTS = ("acme", "demo", "zeta")
OLDEST, NEWEST = (known_revisions(Family.TENANT)[place] for place in (0, -1))


class OldStore:
    """A store with three tenants whose tables are those of the first release."""

    def __init__(self, dialect: str, address: str) -> None:
        self.dialect = dialect
        self.address = address

    async def revision(self, tenant: str) -> str:
        """The revision that the tenant's tables are at, looked up past Runcast."""
        if self.dialect == "sqlite":
            with contextlib.closing(sqlite3.connect(self._file(tenant))) as connection:
                (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(revision)
        connection = await asyncpg.connect(self.address)
        try:
            return str(await connection.fetchval(f"SELECT version_num FROM tenant_{tenant}.alembic_version"))
        finally:
            await connection.close()

    async def reached(self, tenant: str, revision: str) -> None:
        """Return once the tenant's tables are at ``revision``."""
        async with asyncio.timeout(30):
            while await self.revision(tenant) != revision:
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def held(self, tenant: str) -> AsyncIterator[None]:
        """While it lasts, whoever would change the tenant's tables has to wait."""
        if self.dialect == "sqlite":
            with contextlib.closing(sqlite3.connect(self._file(tenant))) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield
            return
        connection = await asyncpg.connect(self.address)
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE tenant_{tenant}.alembic_version")
                yield
        finally:
            await connection.close()

    def _file(self, tenant: str) -> Path:
        return Path(self.address) / f"tenants/{tenant}.db"


@pytest.fixture
async def old_store(
    home: Path, dialect: str, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OldStore]:
    """A store that the first release has written."""
    with contextlib.ExitStack() as stack:
        directory = tmp_path / "old_release"
        shutil.copytree(migrations.HERE, directory, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (directory / "tenant").glob("r[0-9]*.py"):
            if not file.name.startswith(f"r{OLDEST}"):
                file.unlink()
        url = stack.enter_context(postgres.empty_database()) if dialect == "postgres" else None
        with monkeypatch.context() as context:
            context.setattr(migrations, "HERE", directory)
            if url is not None:
                await migrate_postgres_store(url)
            async with await (open_postgres_store(url) if url else open_sqlite_store(home)) as store:
                for tenant in TENANTS:
                    await store.accounts.ensure_tenant(tenant)
                    await store.accounts.ensure_project(tenant, "web", "Web")
        shutil.rmtree(directory)
        if url is not None:
            monkeypatch.setenv("RUNCAST_DATABASE_URL", url)
        yield OldStore(dialect, url or str(home))


@pytest.mark.parametrize(
    "command", [["serve", "--port", "0"], ["token"], ["import", "spec.md"], ["run"], ["admin", "tenant", "list"]]
)
def test_store_of_an_older_release_is_refused_with_what_to_do(
    old_store: OldStore, spec: str, command: list[str]
) -> None:
    """No command but migrate touches it; each says in one line what was found, what was expected, and what to do."""
    line = refused(*command)
    assert f"at revision '{OLDEST}'; expected '{NEWEST}'. Run `runcast migrate`" in line


def test_migrate_says_what_changed_and_then_that_nothing_is_left_to_do(old_store: OldStore, spec: str) -> None:
    """One line per schema that changed; afterwards the store is served, with what was in it."""
    assert told("migrate").splitlines() == [f"tenant_{tenant}: {OLDEST} -> {NEWEST}" for tenant in TENANTS]
    assert told("migrate") == "up to date\n"
    assert told("admin", "project", "list", "--tenant", "zeta").split("\t")[:2] == ["web", "Web"]
    told("import", spec)


def test_migrate_beside_the_server_of_a_home_is_refused(elsewhere: None) -> None:
    """The files of a home do not change under its server."""
    process = spawn("serve", "--port", "0", "--home", "home")
    try:
        read_until(process, "^Serving")
        assert refused("migrate", "--home", "home") == "Error: another process has the home home open"
    finally:
        process.send_signal(signal.SIGTERM)
        finish(process)
    assert told("migrate", "--home", "home") == "up to date\n"


def test_migrate_of_a_home_that_is_none_makes_none(elsewhere: None) -> None:
    """A mistyped home is said to be none."""
    assert refused("migrate", "--home", "typo").startswith("Error: There is no home typo; the first use makes one: ")
    assert not Path("typo").exists()


async def test_killed_migrate_is_finished_by_the_next(old_store: OldStore) -> None:
    """What was done before the kill stays done, the store is refused meanwhile, and the next call does the rest."""
    async with old_store.held("zeta"):
        killed = spawn("migrate")
        await old_store.reached("demo", NEWEST)
        assert killed.poll() is None
        killed.kill()
        await asyncio.to_thread(finish, killed)
    assert await old_store.revision("zeta") == OLDEST
    code, _, err = await asyncio.to_thread(finish, spawn("token"))
    assert (code, "Run `runcast migrate`" in err) == (1, True)
    code, out, err = await asyncio.to_thread(finish, spawn("migrate"))
    assert (code, out) == (0, f"tenant_zeta: {OLDEST} -> {NEWEST}\n"), err


async def test_migrations_at_once_are_one_after_the_other(old_store: OldStore) -> None:
    """Of three that are started together, each schema is changed by one, and all succeed or say who has the home."""
    together = [spawn("migrate") for _ in range(3)]
    ended = await asyncio.gather(*(asyncio.to_thread(finish, process) for process in together))
    changed = [line for _, out, _ in ended for line in out.splitlines() if "->" in line]
    assert sorted(changed) == [f"tenant_{tenant}: {OLDEST} -> {NEWEST}" for tenant in TENANTS]
    assert all(code == 0 or "has the home" in err for code, _, err in ended), ended
