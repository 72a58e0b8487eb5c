"""Bringing one SQLite file to the tables of this release."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import sqlalchemy
from sqlalchemy.pool import StaticPool

from orchestrator.errors import StoreError
from orchestrator.store.migrations import VERSION_TABLE, Family, is_current
from orchestrator.store.sqlite_driver import Attachment, attach_statement, connect_script, store_errors


def migrate_file(attachment: Attachment, family: Family) -> None:
    """Create the file or upgrade it, in one transaction; a file that is up to date is only looked at.

    Blocks, so it belongs into a thread.

    Raises:
        NewerSchemaError: the file was written by a newer release; it is unchanged.
        StoreError: SQLite cannot read or write it, or cannot keep a write-ahead log beside it.

    """
    with (
        store_errors(attachment.schema),
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
    ):
        connection.execute(attach_statement(attachment.schema), {"file": str(attachment.file)})
        connection.executescript(connect_script(attachment, query_only=False))
        _check_journal(connection, attachment)
        if not is_current(family, _revision(connection, attachment.schema)):
            _upgrade(connection, family, attachment.schema)


def _check_journal(connection: sqlite3.Connection, attachment: Attachment) -> None:
    (mode,) = connection.execute(f'PRAGMA "{attachment.schema}".journal_mode').fetchone()
    if mode != "wal":
        raise StoreError(f"The file of {attachment.schema} has journal mode {mode!r}; expected 'wal'.")


def _revision(connection: sqlite3.Connection, schema: str) -> str | None:
    tables = f'SELECT 1 FROM "{schema}".sqlite_master WHERE name = ?'  # noqa: S608  # the schema's name is checked
    if connection.execute(tables, (VERSION_TABLE,)).fetchone() is None:
        return None
    row = connection.execute(f'SELECT version_num FROM "{schema}".{VERSION_TABLE}').fetchone()  # noqa: S608
    return None if row is None else str(row[0])


def _upgrade(connection: sqlite3.Connection, family: Family, schema: str) -> None:
    # A home that is up to date, the usual one, need not wait for Alembic to be imported.
    from orchestrator.store.migrations.upgrade import upgrade  # noqa: PLC0415

    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.begin() as transaction:
        transaction.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none by itself, least of all for DDL
        upgrade(transaction, family, schema)
