"""The store's databases as schemas of one PostgreSQL database: one per tenant, beside the one that all share."""

from __future__ import annotations

import asyncio
import random
from typing import TypeVar

import asyncpg

from orchestrator.errors import StoreError
from orchestrator.store.base import SHARED_SCHEMA, TenantNotFoundError, Work, tenant_schema
from orchestrator.store.in_flight import InFlight, in_thread
from orchestrator.store.migrations import Family, check_current
from orchestrator.store.pool_settings import DEFAULT_POOL, PoolSettings
from orchestrator.store.postgres_driver import PostgresSession
from orchestrator.store.postgres_schema import check_schemas, read_revision
from orchestrator.store.transactions import Database

Result = TypeVar("Result")

READ = "REPEATABLE READ READ ONLY"

WRITE = "READ COMMITTED READ WRITE"

ATTEMPTS = 4
"""How often a write is done before others that stand in its way are too many."""

LONGEST_PAUSE_S = 0.05
"""Before the second attempt; each further one may wait as much longer."""

IN_THE_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
"""Errors that say: nothing was done, because of what another transaction does at the moment."""


class PostgresDatabases:
    """`Databases` in one PostgreSQL database, over one pool of connections."""

    def __init__(self, url: str, pool: PoolSettings) -> None:
        self._url = url
        self._database = Database("postgresql://", address=url, settings=pool)
        self._shared = PostgresSession(self._database, SHARED_SCHEMA)
        self._tenants: dict[str, PostgresSession] = {}
        self._creating = asyncio.Lock()
        self._units = InFlight()

    @classmethod
    async def open(cls, url: str, pool: PoolSettings = DEFAULT_POOL) -> PostgresDatabases:
        """The databases at ``url``; what is there keeps the tables that it has.

        Raises:
            OlderSchemaError: there are no tables, or an older release has written there.
            NewerSchemaError: a newer release has written there.
            StoreError: it is no URL of PostgreSQL, or the server cannot be reached or refuses.

        """
        opened = cls(url, pool)
        try:
            await opened._units.run(opened._open())
        except BaseException:
            await opened.close()
            raise
        return opened

    async def read(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.read`."""
        return await self._units.run(self._read_tenant(tenant_schema(tenant), work))

    async def write(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.write`."""
        return await self._units.run(self._write_tenant(tenant_schema(tenant), work))

    async def read_shared(self, work: Work[Result]) -> Result:
        """See `Databases.read_shared`."""
        return await self._units.run(self._read(self._shared, work))

    async def write_shared(self, work: Work[Result]) -> Result:
        """See `Databases.write_shared`."""
        return await self._units.run(self._write(self._shared, work))

    async def create_tenant(self, tenant: str) -> None:
        """See `Databases.create_tenant`."""
        await self._units.run(self._create(tenant_schema(tenant)))

    async def close(self) -> None:
        """See `Databases.close`."""
        await asyncio.shield(asyncio.create_task(self._close()))

    async def _open(self) -> None:
        await self._database.connect()
        for schema in await self._read(self._shared, check_schemas):
            self._know(schema)

    async def _create(self, schema: str) -> None:
        async with self._creating:
            if await self._revision(schema) is None:
                # Whoever makes no tenants, as usual, need not wait for Alembic to be imported.
                from orchestrator.store.postgres_migrations import make_schema  # noqa: PLC0415

                await in_thread(make_schema, self._url, schema)
        await self._find(schema)

    async def _read_tenant(self, schema: str, work: Work[Result]) -> Result:
        return await self._read(await self._find(schema), work)

    async def _write_tenant(self, schema: str, work: Work[Result]) -> Result:
        return await self._write(await self._find(schema), work)

    async def _find(self, schema: str) -> PostgresSession:
        if schema not in self._tenants:
            revision = await self._revision(schema)
            if revision is None:
                raise TenantNotFoundError(f"There is no tenant {schema.removeprefix('tenant_')!r}.")
            check_current(Family.TENANT, schema, revision)
            self._know(schema)
        return self._tenants[schema]

    def _know(self, schema: str) -> None:
        self._tenants.setdefault(schema, PostgresSession(self._database, schema))

    async def _revision(self, schema: str) -> str | None:
        return await self._read(self._shared, lambda session: read_revision(session, schema))

    async def _read(self, session: PostgresSession, work: Work[Result]) -> Result:
        async with self._database.transaction(mode=READ):
            return await work(session)

    async def _write(self, session: PostgresSession, work: Work[Result]) -> Result:
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._write_once(session, work)
            except StoreError as error:
                if not isinstance(error.__cause__, IN_THE_WAY):
                    raise
            await asyncio.sleep(random.uniform(0, attempt * LONGEST_PAUSE_S))  # noqa: S311  # no secret
        return await self._write_once(session, work)

    async def _write_once(self, session: PostgresSession, work: Work[Result]) -> Result:
        async with self._database.transaction(mode=WRITE):
            return await work(session)

    async def _close(self) -> None:
        await self._units.finish()
        await self._database.disconnect()
