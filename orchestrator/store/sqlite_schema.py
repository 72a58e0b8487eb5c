"""The tables in SQLite: making those of new files, checking and bringing up to date those of others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy
from sqlalchemy.pool import StaticPool

from orchestrator.errors import StoreError
from orchestrator.store.base import SHARED_SCHEMA, SLUG, MissingTenantError, tenant_schema
from orchestrator.store.migrations import (
    VERSION_TABLE,
    Family,
    MigrationReport,
    SchemaMigration,
    check_current,
    with_what_was_done,
)
from orchestrator.store.sqlite_driver import Attachment, attach_statement, connect_script, store_errors

LONGEST_WAIT_S = 60.0
"""For another process that is bringing the same file up to date."""


def tenant_file(home: Path, tenant: str, busy_timeout_s: float) -> Attachment:
    """Where the tenant's data is, or would be.

    Raises:
        InvalidSlugError: ``tenant`` is no slug.

    """
    schema = tenant_schema(tenant)
    return Attachment(home / "tenants" / f"{tenant}.db", schema, busy_timeout_s)


def list_files(home: Path, busy_timeout_s: float) -> list[Attachment]:
    """The shared file, which may not be there yet, and those of all tenants by name."""
    with store_errors(SHARED_SCHEMA):
        slugs = [file.stem for file in sorted((home / "tenants").glob("*.db")) if SLUG.fullmatch(file.stem)]
    shared = Attachment(home / "shared.db", SHARED_SCHEMA, busy_timeout_s)
    return [shared, *(tenant_file(home, slug, busy_timeout_s) for slug in slugs)]


def prepare_file(attachment: Attachment) -> None:
    """Fill a file that has no tables; check one that has. Blocks, so it belongs into a thread.

    Raises:
        OlderSchemaError: its tables are of an older release; it is unchanged.
        NewerSchemaError: its tables are of a newer release; it is unchanged.
        StoreError: SQLite cannot read or write it, or cannot keep a write-ahead log beside it.

    """
    with _opened(attachment) as connection:
        revision = _revision(connection, attachment.schema)
        if revision is None:
            _upgrade(connection, attachment.schema)
        else:
            check_current(_family(attachment.schema), attachment.schema, revision)


def check_tenants(shared: Attachment) -> None:
    """Check that each tenant whom the shared file lists has a file. Blocks.

    Raises:
        MissingTenantError: one has none.

    """
    with _opened(shared) as connection:
        tenants = connection.execute("SELECT slug FROM public.tenants ORDER BY slug").fetchall()
    for (tenant,) in tenants:
        if not tenant_file(shared.file.parent, tenant, shared.busy_timeout_s).file.exists():
            raise MissingTenantError(tenant)


def migrate_home(home: Path) -> MigrationReport:
    """Bring the shared file and those of all tenants to the tables of this release, each in one transaction.

    What was done before a failure stays, and the error tells it; the next time goes on from there. Blocks, so it
    belongs into a thread.

    Raises:
        MissingTenantError: a tenant is listed that has no file; none is made for it.
        NewerSchemaError: a newer release has written a file; that one is unchanged.
        StoreError: there is no home, or SQLite cannot read or write a file.

    """
    if not (home / "shared.db").is_file():
        raise StoreError(f"There is no store in {home}; expected the file shared.db.")
    shared, *tenants = list_files(home.resolve(), LONGEST_WAIT_S)
    done: list[SchemaMigration] = []
    try:
        done.append(_migrate_file(shared))
        check_tenants(shared)
        for tenant in tenants:
            done.append(_migrate_file(tenant))
    except StoreError as error:
        raise with_what_was_done(error, done) from error
    return MigrationReport(tuple(done))


def _migrate_file(attachment: Attachment) -> SchemaMigration:
    with _opened(attachment) as connection:
        return _upgrade(connection, attachment.schema)


@contextmanager
def _opened(attachment: Attachment) -> Iterator[sqlite3.Connection]:
    with (
        store_errors(attachment.schema),
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
    ):
        _make(attachment.file)
        connection.execute(attach_statement(attachment.schema), {"file": str(attachment.file)})
        connection.executescript(connect_script(attachment, query_only=False))
        _check_journal(connection, attachment)
        yield connection


def _make(file: Path) -> None:
    """Have the file, readable by its owner only where it is new; those that SQLite makes beside it take after it.

    One that is there is not opened: closing it again would take SQLite's own locks from it.
    """
    with suppress(FileExistsError):
        file.touch(0o600, exist_ok=False)


def _check_journal(connection: sqlite3.Connection, attachment: Attachment) -> None:
    (mode,) = connection.execute(f'PRAGMA "{attachment.schema}".journal_mode').fetchone()
    if mode != "wal":
        raise StoreError(f"The file of {attachment.schema} has journal mode {mode!r}; expected 'wal'.")


def _family(schema: str) -> Family:
    return Family.SHARED if schema == SHARED_SCHEMA else Family.TENANT


def _revision(connection: sqlite3.Connection, schema: str) -> str | None:
    tables = f'SELECT 1 FROM "{schema}".sqlite_master WHERE name = ?'  # noqa: S608  # the schema's name is checked
    if connection.execute(tables, (VERSION_TABLE,)).fetchone() is None:
        return None
    row = connection.execute(f'SELECT version_num FROM "{schema}".{VERSION_TABLE}').fetchone()  # noqa: S608
    return None if row is None else str(row[0])


def _upgrade(connection: sqlite3.Connection, schema: str) -> SchemaMigration:
    # A home that is up to date, the usual one, need not wait for Alembic to be imported.
    from orchestrator.store.migrations.upgrade import driver_errors, upgrade  # noqa: PLC0415

    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with driver_errors(), engine.begin() as transaction:
        transaction.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none by itself, least of all for DDL
        return upgrade(transaction, _family(schema), schema)
