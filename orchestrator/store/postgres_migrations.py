"""Bringing the schemas of a PostgreSQL database to the tables of this release, one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from orchestrator.errors import StoreError
from orchestrator.store.base import SHARED_SCHEMA, TENANTS, DatabaseInUseError, MissingTenantError, tenant_schema
from orchestrator.store.migrations import Family, MigrationReport, SchemaMigration, with_what_was_done
from orchestrator.store.migrations.upgrade import driver_errors, upgrade
from orchestrator.store.postgres_connect import connect, safe_url, store_errors
from orchestrator.store.server_lock import SERVER_LOCK

Result = TypeVar("Result")

MIGRATION_LOCK = int.from_bytes(b"runcast", "big")
"""Whoever makes or changes tables holds this advisory lock of the database."""

LOCK_TIMEOUT = "30s"
"""How long a revision waits for a table that others use: behind it, everybody else waits."""

SCHEMA_EXISTS = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema")


def migrate_database(url: str) -> MigrationReport:
    """Bring the shared schema and those of all tenants to the tables of this release, each in one transaction.

    Waits for whoever else is doing so. What was done before a failure stays, and the error tells it; the next time
    goes on from there. Blocks, so it belongs into a thread.

    Raises:
        DatabaseInUseError: servers use the database; nothing was changed.
        MissingTenantError: a tenant is listed that has no data; none is made for it.
        NewerSchemaError: a newer release has written a schema; that one is unchanged.
        StoreError: PostgreSQL cannot be reached, or refuses.

    """
    return asyncio.run(_locked(url, partial(_alone, url)))


def make_schema(url: str, schema: str) -> None:
    """Make a tenant's schema with the tables of this release, unless others were faster. Blocks, like the above."""

    async def make(connection: AsyncConnection) -> None:
        await _migrate(connection, Family.TENANT, schema)

    asyncio.run(_locked(url, make))


async def _locked(url: str, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=partial(connect, url), poolclass=NullPool)
    with store_errors("migrating"), driver_errors():
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.commit()  # the session goes on holding it
            return await work(connection)


async def _alone(url: str, connection: AsyncConnection) -> MigrationReport:
    """Migrate as the one that has the database, so that no server uses tables while they change."""
    held = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": SERVER_LOCK})
    await connection.rollback()  # of a transaction without changes: the session goes on holding the lock
    if not held:
        raise DatabaseInUseError(
            f"A server uses the database at {safe_url(url)}; expected none meanwhile. Stop every server first."
        )
    try:
        return await _migrate_all(connection)
    finally:
        with suppress(DBAPIError):  # the connection is lost, and the lock with it
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": SERVER_LOCK})


async def _migrate_all(connection: AsyncConnection) -> MigrationReport:
    done: list[SchemaMigration] = []
    try:
        done.append(await _migrate(connection, Family.SHARED, SHARED_SCHEMA))
        tenants = (await connection.execute(text(TENANTS))).scalars().all()
        await connection.rollback()
        for tenant in tenants:
            done.append(await _migrate_tenant(connection, tenant))
    except StoreError as error:
        raise with_what_was_done(error, done) from error
    return MigrationReport(tuple(done))


async def _migrate_tenant(connection: AsyncConnection, tenant: str) -> SchemaMigration:
    schema = tenant_schema(tenant)
    there = await _exists(connection, schema)
    await connection.rollback()
    if not there:
        raise MissingTenantError(tenant)
    return await _migrate(connection, Family.TENANT, schema)


async def _migrate(connection: AsyncConnection, family: Family, schema: str) -> SchemaMigration:
    with store_errors(f"migrating {schema}"), driver_errors():
        async with connection.begin():
            if not await _exists(connection, schema):  # asked first: IF NOT EXISTS, too, wants the right to create
                await connection.execute(text(f'CREATE SCHEMA "{schema}"'))
            return await connection.run_sync(upgrade, family, schema)


async def _exists(connection: AsyncConnection, schema: str) -> bool:
    return await connection.scalar(SCHEMA_EXISTS, {"schema": schema}) is not None
