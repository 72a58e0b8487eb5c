"""``databases`` with transactions that give their connection back on every path.

In ``databases`` 0.9 a BEGIN or COMMIT that fails, or a second cancellation, loses a connection of the pool for good.
Here the connection is released in ``finally``. Whatever holds for every dialect is here; see `sqlite_driver` and
`postgres_driver` for the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import databases
from databases.core import Connection
from databases.core import Transaction as LeakyTransaction
from databases.interfaces import ConnectionBackend, TransactionBackend


class Transaction(LeakyTransaction):
    """A transaction, or a savepoint inside the one that this task already holds.

    As a context manager it commits, or rolls back where the body raised. Options go to the dialect's BEGIN.
    """

    _held: tuple[Connection, TransactionBackend]

    @property
    def backend(self) -> ConnectionBackend:
        """The dialect's connection, which this transaction holds."""
        return self._held[0]._connection

    async def __aenter__(self) -> Transaction:
        return await self.start()

    async def start(self) -> Transaction:
        """Begin; where that fails, nothing is held."""
        connection = self._connection
        backend = connection._connection.transaction()
        async with connection._transaction_lock:
            is_root = not connection._transaction_stack
            await connection.__aenter__()
            try:
                await backend.start(is_root=is_root, extra_options=self._extra_options)
            except BaseException:
                await connection.__aexit__()
                raise
            connection._transaction_stack.append(self)
        self._held = connection, backend
        return self

    async def commit(self) -> None:
        """Keep the changes; where that fails, the transaction is over all the same."""
        await self._end(self._held[1].commit)

    async def rollback(self) -> None:
        """Take the changes back."""
        await self._end(self._held[1].rollback)

    async def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        connection = self._held[0]
        async with connection._transaction_lock:
            connection._transaction_stack.remove(self)
            try:
                await end()
            finally:
                await connection.__aexit__()


class Database(databases.Database):
    """A pool of connections to one database; the connection in use is found by the running task."""

    SUPPORTED_BACKENDS = {  # noqa: RUF012  # as the base class has it
        **databases.Database.SUPPORTED_BACKENDS,
        "sqlite": "orchestrator.store.sqlite_driver:AttachedBackend",
        "postgresql": "orchestrator.store.postgres_driver:PooledBackend",
    }

    def transaction(self, *, force_rollback: bool = False, **options: Any) -> Transaction:
        """A transaction of the running task."""
        return Transaction(self.connection, force_rollback, **options)
