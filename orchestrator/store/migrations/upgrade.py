"""Running the revisions of one family on one schema, with Alembic, on a connection that the caller has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from orchestrator.store import migrations
from orchestrator.store.migrations import (
    VERSION_TABLE,
    Family,
    SchemaMigration,
    check_known,
)

_alembic_is_one = Lock()
"""Alembic keeps what it is doing in module globals."""


@contextmanager
def driver_errors() -> Iterator[None]:
    """Let the database's errors pass as its driver raised them: the text of SQLAlchemy has the statement, too."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        told = error.orig or error
        raise told.__cause__ or told from None  # asyncpg's own is the cause of what SQLAlchemy makes of it


def upgrade(connection: sqlalchemy.Connection, family: Family, schema: str) -> SchemaMigration:
    """Bring ``schema`` to the newest revision, inside the transaction that ``connection`` is in. Blocks.

    Raises:
        NewerSchemaError: a newer release has written it; nothing was changed.

    """
    opts = {"version_table": VERSION_TABLE, "version_table_schema": schema}
    before = MigrationContext.configure(connection, opts=opts).get_current_revision()
    newest = check_known(family, schema, before)
    if before != newest:
        _run_revisions(connection, family, schema)
    return SchemaMigration(schema, before, newest)


def _run_revisions(connection: sqlalchemy.Connection, family: Family, schema: str) -> None:
    config = Config(attributes={"connection": connection, "schema": schema})
    config.set_main_option("script_location", _literal(str(migrations.HERE)))
    config.set_main_option("version_locations", _literal(str(migrations.HERE / family)))
    config.set_main_option("path_separator", "newline")
    with _alembic_is_one:
        command.upgrade(config, "head")


def _literal(text: str) -> str:
    """``text`` for a parser that takes a percent sign for the start of a reference."""
    return text.replace("%", "%%")
