"""SQLite for ``databases``: a few held connections to one file, attached under the name of its schema.

The main database of each connection is an empty one in memory. The file is attached as ``tenant_x`` or ``public``, so
that SQL names its tables as on PostgreSQL, and a transaction locks that file alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiosqlite
from databases.interfaces import ConnectionBackend, DatabaseBackend, TransactionBackend

from orchestrator.errors import StoreError
from orchestrator.events import storable
from orchestrator.store.base import Row, Statement, Value
from orchestrator.store.transactions import Database

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

BY_CODE_POINT = "COLLATE BINARY"


class Attachment(NamedTuple):
    """Which file is attached under which schema, and how long to wait for another process that writes to it."""

    file: Path
    schema: str
    busy_timeout_s: float = 5.0


@contextmanager
def store_errors(schema: str) -> Iterator[None]:
    """Turn whatever the driver raises into `StoreError`, with the driver's error as its cause."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"SQLite on {schema}: {type(error).__name__}: {error}") from error


def connect_script(attachment: Attachment, *, query_only: bool) -> str:
    """The settings of a connection, after its file is attached.

    ``synchronous = FULL``: with NORMAL, a power cut in WAL mode may take back what was committed.
    """
    schema = attachment.schema
    return f"""
        PRAGMA busy_timeout = {int(attachment.busy_timeout_s * 1000)};
        PRAGMA foreign_keys = ON;
        PRAGMA cell_size_check = ON;
        PRAGMA trusted_schema = OFF;
        PRAGMA "{schema}".journal_mode = WAL;
        PRAGMA "{schema}".synchronous = FULL;
        PRAGMA query_only = {"ON" if query_only else "OFF"};
    """


def attach_statement(schema: str) -> str:
    """ATTACH; the file's path is bound as ``:file``."""
    return f'ATTACH DATABASE :file AS "{schema}"'


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _is_idle(connection: aiosqlite.Connection) -> bool:
    """True for a connection that can begin a transaction."""
    try:
        return not connection.in_transaction
    except ValueError:  # it is closed
        return False


class Pool:
    """At most ``size`` connections, opened when first needed and held until `close`. First come, first served."""

    def __init__(self, attachment: Attachment, size: int, *, query_only: bool) -> None:
        self._attachment = attachment
        self._query_only = query_only
        self._permits = asyncio.Semaphore(size)
        self._free: list[aiosqlite.Connection] = []

    async def acquire(self) -> aiosqlite.Connection:
        """A connection outside of any transaction, this caller's until `release`."""
        await self._permits.acquire()
        try:
            return self._free.pop() if self._free else await self._open()
        except BaseException:
            self._permits.release()
            raise

    async def release(self, connection: aiosqlite.Connection) -> None:
        """Take it back; one whose transaction will not end is closed, and replaced when needed. Never raises."""
        if not _is_idle(connection):
            # In a task of its own: a connection that is forgotten half way keeps its thread, and so the process.
            await asyncio.shield(asyncio.create_task(self._mend(connection)))
        else:
            self._keep(connection)

    async def _mend(self, connection: aiosqlite.Connection) -> None:
        try:
            await connection.rollback()
        except Exception:  # of no interest any more: the unit of work has its own error
            with suppress(Exception):
                await connection.close()
            self._permits.release()
        else:
            self._keep(connection)

    def _keep(self, connection: aiosqlite.Connection) -> None:
        self._free.append(connection)
        self._permits.release()

    async def close(self) -> None:
        """Close all connections and end their threads."""
        while self._free:
            with store_errors(self._attachment.schema):
                await self._free.pop().close()

    async def _open(self) -> aiosqlite.Connection:
        schema = self._attachment.schema
        with store_errors(schema):
            connection = await aiosqlite.connect(":memory:", isolation_level=None)
            try:
                await connection.execute_fetchall(attach_statement(schema), {"file": str(self._attachment.file)})
                await connection.executescript(connect_script(self._attachment, query_only=self._query_only))
                connection.row_factory = _as_dict  # type: ignore[assignment]  # any callable does
            except BaseException:
                await connection.close()
                raise
        return connection


class AttachedBackend(DatabaseBackend):
    """What ``databases`` asks of a dialect."""

    def __init__(self, url: object, *, attachment: Attachment, size: int, query_only: bool) -> None:
        self._schema = attachment.schema
        self._pool = Pool(attachment, size, query_only=query_only)

    async def connect(self) -> None:
        """Connections are opened when first needed."""

    async def disconnect(self) -> None:
        """Close them."""
        await self._pool.close()

    def connection(self) -> AttachedConnection:
        """One task's connection, taken from the pool when it begins a transaction."""
        return AttachedConnection(self._pool, self._schema)


class AttachedConnection(ConnectionBackend):
    """One connection while a transaction holds it."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._schema = schema
        self._held: aiosqlite.Connection | None = None

    @property
    def raw_connection(self) -> aiosqlite.Connection:
        """The driver's connection."""
        assert self._held is not None, "only a transaction holds a connection"  # noqa: S101
        return self._held

    async def acquire(self) -> None:
        """Take a connection from the pool."""
        self._held = await self._pool.acquire()

    async def release(self) -> None:
        """Give it back. Never raises."""
        held, self._held = self.raw_connection, None
        await self._pool.release(held)

    async def run(self, *statements: Statement) -> list[Row]:
        """Run all of them, in order and in one visit to the connection's thread; the rows of the last."""
        with store_errors(self._schema):
            # The only way of aiosqlite to do several things in one visit; a visit costs more than most statements.
            rows: list[Row] = await self.raw_connection._execute(_run, self.raw_connection._conn, statements)  # type: ignore[no-untyped-call]
        return rows

    def transaction(self) -> AttachedTransaction:
        """A transaction on this connection."""
        return AttachedTransaction(self)


def _run(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[Row]:
    rows: list[Row] = []
    for sql, values in statements:
        rows = connection.execute(sql, values).fetchall()
    return rows


class AttachedTransaction(TransactionBackend):
    """``BEGIN`` (option ``mode``: IMMEDIATE or DEFERRED) for the outermost, a savepoint for one inside another.

    A writer begins IMMEDIATE: one that only reads first may find, when it writes, that another was faster.
    """

    def __init__(self, connection: AttachedConnection) -> None:
        self._connection = connection
        self._is_root = True

    async def start(self, is_root: bool, extra_options: dict[str, Any]) -> None:
        """Begin."""
        self._is_root = is_root
        await self._run(f"BEGIN {extra_options.get('mode', 'IMMEDIATE')}" if is_root else "SAVEPOINT unit")

    async def commit(self) -> None:
        """Make it durable, or part of the transaction around it."""
        await self._run("COMMIT" if self._is_root else "RELEASE unit")

    async def rollback(self) -> None:
        """Undo. SQLite itself has already done so after some errors, such as a full disk."""
        if not self._is_root:
            await self._run("ROLLBACK TO unit", "RELEASE unit")
        elif not _is_idle(self._connection.raw_connection):
            await self._run("ROLLBACK")

    async def _run(self, *statements: str) -> None:
        await self._connection.run(*(Statement(sql, {}) for sql in statements))


class SqliteSession:
    """`Session` on the connection that the task which runs the statement holds."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._schema = schema

    async def fetch_one(self, sql: str, /, **values: Value) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, **values)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, /, **values: Value) -> Sequence[Row]:
        """All rows, in the order of the statement."""
        return await self._run([Statement(sql, values)])

    async def execute(self, sql: str, /, **values: Value) -> None:
        """Run a statement whose rows do not matter."""
        await self._run([Statement(sql, values)])

    async def execute_all(self, statements: Sequence[Statement], /) -> None:
        """Run statements whose rows do not matter, in order."""
        await self._run(statements)

    async def execute_apart(self, statements: Sequence[Statement], /) -> None:
        """Run statements that do not mind each other; several are one visit to the connection anyway."""
        await self._run(statements)

    async def _run(self, statements: Sequence[Statement]) -> list[Row]:
        connection = cast("AttachedConnection", self._database.connection()._connection)
        return await connection.run(*(self._bind(statement) for statement in statements))

    def _bind(self, statement: Statement) -> Statement:
        values = {name: storable(value) for name, value in statement.values.items()}
        return Statement(_render(statement.sql, self._schema), values)


@lru_cache(maxsize=1024)
def _render(sql: str, schema: str) -> str:
    return sql.replace("{tenant}", f'"{schema}"').replace("{now}", NOW).replace("{by_code_point}", BY_CODE_POINT)
