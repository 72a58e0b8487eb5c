"""Bringing the schemas of a PostgreSQL database to the tables of this release, one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from orchestrator.store.base import SHARED_SCHEMA, tenant_schema
from orchestrator.store.migrations import Family, MigrationReport, SchemaMigration
from orchestrator.store.migrations.upgrade import upgrade
from orchestrator.store.postgres_connect import connect, store_errors
from orchestrator.store.postgres_schema import TENANTS

Result = TypeVar("Result")

MIGRATION_LOCK = int.from_bytes(b"runcast", "big")
"""Whoever makes or changes tables holds this advisory lock of the database."""


def migrate_database(url: str) -> MigrationReport:
    """Bring the shared schema and those of all tenants to the tables of this release, each in one transaction.

    Waits for whoever else is doing so. What was done before a failure stays; the next time goes on from there.
    Blocks, so it belongs into a thread.

    Raises:
        NewerSchemaError: a newer release has written a schema; that one is unchanged.
        StoreError: PostgreSQL cannot be reached, or refuses.

    """
    return asyncio.run(_locked(url, _migrate_all))


def make_schema(url: str, schema: str) -> None:
    """Make a tenant's schema with the tables of this release, unless others were faster. Blocks, like the above."""

    async def make(connection: AsyncConnection) -> None:
        await _migrate(connection, Family.TENANT, schema)

    asyncio.run(_locked(url, make))


async def _locked(url: str, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=partial(connect, url), poolclass=NullPool)
    with store_errors("migrating"):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.commit()  # the session goes on holding it
            return await work(connection)


async def _migrate_all(connection: AsyncConnection) -> MigrationReport:
    done = [await _migrate(connection, Family.SHARED, SHARED_SCHEMA)]
    tenants = (await connection.execute(text(TENANTS))).scalars().all()
    await connection.rollback()
    for tenant in tenants:
        done.append(await _migrate(connection, Family.TENANT, tenant_schema(tenant)))
    return MigrationReport(tuple(done))


async def _migrate(connection: AsyncConnection, family: Family, schema: str) -> SchemaMigration:
    async with connection.begin():
        await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        return await connection.run_sync(upgrade, family, schema)
