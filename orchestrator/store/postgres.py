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
from orchestrator.store.turns import Turns

Result = TypeVar("Result")

READ = "REPEATABLE READ READ ONLY"

WRITE = "READ COMMITTED READ WRITE"

CLOSE_S = 0.5
"""How long units of work have for ending when the store is closed, and again once their connections are."""

ATTEMPTS = 4
"""How often a write is done before others that stand in its way are too many."""

LONGEST_PAUSE_S = 0.05
"""Before the second attempt; each further one may wait as much longer."""

OPEN_RUNS = """
    SELECT tenant, run_id FROM public.open_runs JOIN public.tenants ON slug = tenant
    ORDER BY open_runs.created_at, run_id
"""
"""Only of tenants that there are: where one was dropped by hand, nobody has taken its runs out of that table."""

FREE_RUNS = """
    SELECT tenant, run_id FROM public.open_runs JOIN public.tenants ON slug = tenant
    WHERE lease_until IS NULL OR lease_until < {now}
    ORDER BY open_runs.created_at, run_id LIMIT 200
"""

IN_THE_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
"""Errors that say: nothing was done, because of what another transaction does at the moment."""


class PostgresDatabases:
    """`Databases` in one PostgreSQL database, over one pool of connections."""

    def __init__(self, url: str, pool: PoolSettings) -> None:
        self._url = url
        self._database = Database("postgresql://", address=url, settings=pool)
        self._tenants: set[str] = set()
        self._creating = asyncio.Lock()
        self._units = InFlight()
        self._turns = Turns(pool)

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

    async def write_in_turn(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.write_in_turn`. Who waits has no connection that another tenant could use.

        Raises:
            StoreError: also where too many of the tenant came before.

        """
        return await self._units.run(self._write_in_turn(tenant_schema(tenant), work))

    async def read_shared(self, work: Work[Result]) -> Result:
        """See `Databases.read_shared`."""
        return await self._units.run(self._read(SHARED_SCHEMA, work))

    async def write_shared(self, work: Work[Result]) -> Result:
        """See `Databases.write_shared`."""
        return await self._units.run(self._write(SHARED_SCHEMA, work))

    async def open_runs(self, *, free: bool) -> tuple[tuple[str, str], ...]:
        """See `Databases.open_runs`. Looks into the one table that triggers keep (the shared revision 0002)."""
        sql = FREE_RUNS if free else OPEN_RUNS
        rows = await self.read_shared(lambda session: session.fetch_all(sql))
        return tuple((row["tenant"], row["run_id"]) for row in rows)

    async def create_tenant(self, tenant: str) -> None:
        """See `Databases.create_tenant`."""
        await self._units.run(self._create(tenant_schema(tenant)))

    async def close(self) -> None:
        """See `Databases.close`. A server that is silent is not waited for longer than two seconds."""
        await asyncio.shield(asyncio.create_task(self._close()))

    async def _open(self) -> None:
        await self._database.connect()
        self._tenants.update(await self._read(SHARED_SCHEMA, check_schemas))

    async def _create(self, schema: str) -> None:
        async with self._creating:
            if await self._revision(schema) is None:
                # Whoever makes no tenants, as usual, need not wait for Alembic to be imported.
                from orchestrator.store.postgres_migrations import make_schema  # noqa: PLC0415

                await in_thread(make_schema, self._url, schema)
        await self._check(schema)

    async def _read_tenant(self, schema: str, work: Work[Result]) -> Result:
        await self._check(schema)
        return await self._read(schema, work)

    async def _write_tenant(self, schema: str, work: Work[Result]) -> Result:
        await self._check(schema)
        return await self._write(schema, work)

    async def _write_in_turn(self, schema: str, work: Work[Result]) -> Result:
        async with self._turns.place(schema):
            return await self._write_tenant(schema, work)

    async def _check(self, schema: str) -> None:
        """See that the tenant's schema is there, with the tables of this release; once, they never go back."""
        if schema not in self._tenants:
            revision = await self._revision(schema)
            if revision is None:
                raise TenantNotFoundError(f"There is no tenant {schema.removeprefix('tenant_')!r}.")
            check_current(Family.TENANT, schema, revision)
            self._tenants.add(schema)

    async def _revision(self, schema: str) -> str | None:
        return await self._read(SHARED_SCHEMA, lambda session: read_revision(session, schema))

    async def _read(self, schema: str, work: Work[Result]) -> Result:
        async with self._database.transaction(mode=READ) as transaction:
            return await work(PostgresSession(transaction, schema))

    async def _write(self, schema: str, work: Work[Result]) -> Result:
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._write_once(schema, work)
            except StoreError as error:
                if not isinstance(error.__cause__, IN_THE_WAY):
                    raise
            await asyncio.sleep(random.uniform(0, attempt * LONGEST_PAUSE_S))  # noqa: S311  # no secret
        return await self._write_once(schema, work)

    async def _write_once(self, schema: str, work: Work[Result]) -> Result:
        async with self._database.transaction(mode=WRITE) as transaction:
            return await work(PostgresSession(transaction, schema))

    async def _close(self) -> None:
        await self._units.finish(CLOSE_S)
        await self._database.disconnect()  # which cuts what has not ended
        await self._units.finish(CLOSE_S)
