"""PostgreSQL for ``databases``: one pool of asyncpg connections for all tenants, with native prepared statements."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from databases.interfaces import ConnectionBackend, DatabaseBackend, TransactionBackend

from orchestrator.errors import StoreError
from orchestrator.events import storable
from orchestrator.store.base import Row, Statement, Value
from orchestrator.store.pool_settings import PoolSettings
from orchestrator.store.postgres_connect import connect_errors, store_errors
from orchestrator.store.transactions import Transaction

NOW = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""

BY_CODE_POINT = 'COLLATE "C"'

TOKEN = re.compile(r"""'(?:[^']|'')*' | "[^"]*" | :: | :([a-z]\w*)""", re.VERBOSE)
"""A bound value's name, or what looks like one and is none: a literal, a quoted name, a cast."""

PLACEHOLDER = re.compile(r"\$(\d+)")

STATEMENTS_PER_CONNECTION = 500
"""Prepared statements that a connection keeps; a tenant has about thirty of its own."""

GRACE_S = 5.0
"""Beyond its time limit on the server, how long a statement is waited for here; also the end of a connection."""

CLOSE_S = 1.0
"""How long all connections together have for saying goodbye."""

Held: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class PooledBackend(DatabaseBackend):
    """What ``databases`` asks of a dialect. ``address`` is the URL with which asyncpg connects."""

    def __init__(self, url: object, *, address: str, settings: PoolSettings) -> None:
        self._address = address
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def connect(self) -> None:
        """Open the pool with its least number of connections."""
        with connect_errors(self._address):
            self._pool = await asyncpg.create_pool(
                self._address,
                min_size=self._settings.min_size,
                max_size=self._settings.max_size,
                timeout=self._settings.connect_timeout_s,
                command_timeout=self._settings.statement_timeout_s + GRACE_S,
                statement_cache_size=STATEMENTS_PER_CONNECTION,
                server_settings=self._settings.of_server(),
                reset=_leave_as_it_is,
            )

    async def disconnect(self) -> None:
        """Close all connections; a server that does not answer is not waited for longer than `CLOSE_S`."""
        assert self._pool is not None, "it was connected"  # noqa: S101
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_S)
        except TimeoutError:
            self._pool.terminate()

    def connection(self) -> PooledConnection:
        """One task's connection, taken from the pool when it begins a transaction."""
        assert self._pool is not None, "it was connected"  # noqa: S101
        return PooledConnection(self._pool, self._address, self._settings)


async def _leave_as_it_is(connection: asyncpg.Connection[Any]) -> None:
    """Spare a visit to the server after each unit of work: it sets nothing, and its transaction is over."""


class PooledConnection(ConnectionBackend):
    """One connection while a transaction holds it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], address: str, settings: PoolSettings) -> None:
        self._pool = pool
        self._address = address
        self._settings = settings
        self._held: Held | None = None

    @property
    def raw_connection(self) -> Held:
        """The driver's connection."""
        assert self._held is not None, "only a transaction holds a connection"  # noqa: S101
        return self._held

    @property
    def is_lost(self) -> bool:
        """True where the connection that is held has ended."""
        try:
            return self.raw_connection.is_closed()
        except asyncpg.InterfaceError:  # so the pool has noticed, and taken it back
            return True

    async def acquire(self) -> None:
        """Take a connection from the pool.

        Raises:
            StoreError: all were in use for too long, or PostgreSQL cannot be reached.

        """
        wait_s = self._settings.acquire_timeout_s
        with connect_errors(self._address):
            try:
                async with asyncio.timeout(wait_s):
                    self._held = await self._pool.acquire()
            except TimeoutError as error:
                if self._pool.get_size() < self._pool.get_max_size():
                    raise
                raise StoreError(
                    f"All {self._pool.get_max_size()} connections of the pool were in use for {wait_s:g} s; "
                    "expected one to become free."
                ) from error

    async def release(self) -> None:
        """Give back what is held; one that is broken is replaced when it is needed. Never raises."""
        held, self._held = self._held, None
        with suppress(Exception):  # the driver has let go of it all the same
            if held is not None:
                await self._pool.release(held, timeout=GRACE_S)

    def transaction(self) -> PooledTransaction:
        """A transaction on this connection."""
        return PooledTransaction(self)


class PooledTransaction(TransactionBackend):
    """``BEGIN`` at the isolation level of option ``mode``, once per unit of work: there are no savepoints."""

    def __init__(self, connection: PooledConnection) -> None:
        self._connection = connection

    async def start(self, is_root: bool, extra_options: dict[str, Any]) -> None:
        """Begin; on another connection where the first turns out to have been lost while nobody used it."""
        assert is_root, "a unit of work has one transaction"  # noqa: S101
        begin = f"BEGIN ISOLATION LEVEL {extra_options['mode']}"
        try:
            await self._execute(begin)
        except StoreError:
            if not self._connection.is_lost:
                raise
            await self._connection.release()
            await self._connection.acquire()
            await self._execute(begin)

    async def commit(self) -> None:
        """Make it durable."""
        done = await self._execute("COMMIT")
        if done != "COMMIT":  # so it answers where a statement had failed and the unit went on regardless
            raise StoreError(f"PostgreSQL answered COMMIT with {done}; expected all statements to have succeeded.")

    async def rollback(self) -> None:
        """Undo. A connection that is lost has been rolled back by the server."""
        if not self._connection.is_lost:
            await self._execute("ROLLBACK")

    async def _execute(self, sql: str) -> str:
        with store_errors(sql.partition(" ")[0]):
            return await self._connection.raw_connection.execute(sql)


class PostgresSession:
    """`Session` of one transaction, on the connection that it holds."""

    def __init__(self, transaction: Transaction, schema: str) -> None:
        self._connection = cast("PooledConnection", transaction.backend)
        self._schema = schema

    async def fetch_one(self, sql: str, /, **values: Value) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, **values)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, /, **values: Value) -> Sequence[Row]:
        """All rows, in the order of the statement."""
        return [dict(record) for record in await self._run([Statement(sql, values)])]

    async def execute(self, sql: str, /, **values: Value) -> None:
        """Run a statement whose rows do not matter."""
        await self._run([Statement(sql, values)])

    async def execute_all(self, statements: Sequence[Statement], /) -> None:
        """Run statements whose rows do not matter, in order."""
        await self._run(statements)

    async def execute_apart(self, statements: Sequence[Statement], /) -> None:
        """Run statements that do not mind each other, in one visit to the server."""
        text, names = render_apart(tuple(sql for sql, _ in statements), self._schema)
        values = [storable(statements[index].values[name]) for index, name in names]
        with store_errors(self._schema):
            await self._connection.raw_connection.fetch(text, *values)

    async def _run(self, statements: Sequence[Statement]) -> list[asyncpg.Record]:
        connection = self._connection.raw_connection
        records: list[asyncpg.Record] = []
        with store_errors(self._schema):
            for sql, values in statements:
                text, names = render(sql, self._schema)
                records = await connection.fetch(text, *[storable(values[name]) for name in names])
        return records


@lru_cache(maxsize=4096)
def render_apart(sqls: tuple[str, ...], schema: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """All of ``sqls`` as one statement, and for each value in it whose it is, by position, and its name.

    https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
    """
    parts: list[str] = []
    values: list[tuple[int, str]] = []
    for index, sql in enumerate(sqls):
        text, names = render(sql, schema)
        before = len(values)
        moved = PLACEHOLDER.sub(lambda found, before=before: f"${int(found[1]) + before}", text)  # type: ignore[misc]
        parts.append(f"part_{index} AS ({moved})")
        values += ((index, name) for name in names)
    return f"WITH {', '.join(parts)} SELECT 1", tuple(values)


@lru_cache(maxsize=16_384)
def render(sql: str, schema: str) -> tuple[str, tuple[str, ...]]:
    """``sql`` as PostgreSQL takes it, ``$1`` for the first name, and the names in the order of their numbers."""
    numbers: dict[str, int] = {}

    def number(token: re.Match[str]) -> str:
        name = token[1]
        return token[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    text = TOKEN.sub(number, sql).replace("{tenant}", f'"{schema}"').replace("{now}", NOW)
    return text.replace("{by_code_point}", BY_CODE_POINT), tuple(numbers)
