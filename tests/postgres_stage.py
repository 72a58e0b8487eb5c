"""What tests of the store on PostgreSQL do and look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from postgres_server import PostgresServer

from orchestrator.store.base import Session
from orchestrator.store.pool_settings import PoolSettings
from orchestrator.store.postgres import PostgresDatabases

SIZE = 4

INSERT = "INSERT INTO {tenant}.projects (id, slug, name, created_at) VALUES (:id, :id, :id, {now})"
SELECT = "SELECT id FROM {tenant}.projects ORDER BY id"

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'runcast'"


class Stage:
    """The databases under test, with the tenant ``demo``, and the server below them."""

    def __init__(self, server: PostgresServer, url: str, databases: PostgresDatabases) -> None:
        self.server = server
        self.url = url
        self.databases = databases
        self.name = urlsplit(url).path.removeprefix("/")

    async def insert(self, *ids: str) -> None:
        """One unit of work with a row for each id."""

        async def work(session: Session) -> None:
            for id in ids:
                await session.execute(INSERT, id=id)

        await self.databases.write("demo", work)

    async def ids(self) -> list[str]:
        """The rows that are there."""
        return [row["id"] for row in await self.databases.read("demo", lambda session: session.fetch_all(SELECT))]

    def sql(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of a statement on a connection of its own, as superuser."""
        return [tuple(row) for row in self.server.run(sql, *values, database=self.name)]

    async def check_pool(self, size: int = SIZE) -> None:
        """Assert that as many units as the pool is large can be at work at once, on as many connections."""
        together = asyncio.Barrier(size)

        async def work(session: Session) -> None:
            await session.fetch_one("SELECT 1 AS one")
            await together.wait()

        async with asyncio.timeout(30):
            await asyncio.gather(*(self.databases.read("demo", work) for _ in range(size)))
        assert self.server.run(SESSIONS, self.name)[0][0] == size


@asynccontextmanager
async def open_stage(server: PostgresServer, **settings: float) -> AsyncIterator[Stage]:
    """A stage on a database of its own."""
    with server.database() as url:
        pool = PoolSettings(**{"max_size": SIZE, **settings})  # type: ignore[arg-type]
        databases = await PostgresDatabases.open(url, pool)
        try:
            await databases.create_tenant("demo")
            yield Stage(server, url, databases)
        finally:
            await databases.close()


async def pid_of(session: Session) -> int:
    """The process of the server that serves this unit of work."""
    row = await session.fetch_one("SELECT pg_backend_pid() AS pid")
    assert row is not None
    return int(row["pid"])
