"""Everything durable, in one place. Outside of this package nobody knows which database it is.

What only PostgreSQL needs is imported where it is first needed: a home in SQLite starts without it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType

from orchestrator.store.accounts import AccountStore
from orchestrator.store.acks import AckStore
from orchestrator.store.answers import AnswerStore
from orchestrator.store.base import (
    DatabaseInUseError,
    Databases,
    NewerSchemaError,
    OlderSchemaError,
    TenantNotFoundError,
)
from orchestrator.store.budgets import TokenStore
from orchestrator.store.codes import CodeStore
from orchestrator.store.documents import DocumentStore
from orchestrator.store.in_flight import in_thread
from orchestrator.store.migrations import MigrationReport
from orchestrator.store.pool_settings import DEFAULT_POOL, PoolSettings
from orchestrator.store.retention import drop_logs, old_logs
from orchestrator.store.runs import RunStore
from orchestrator.store.sqlite import SqliteDatabases
from orchestrator.store.sqlite_schema import migrate_home

__all__ = [
    "AccountStore",
    "AckStore",
    "AnswerStore",
    "CodeStore",
    "DatabaseInUseError",
    "DocumentStore",
    "MigrationReport",
    "NewerSchemaError",
    "OlderSchemaError",
    "PoolSettings",
    "RunStore",
    "Store",
    "TenantNotFoundError",
    "TokenStore",
    "migrate_postgres_store",
    "migrate_sqlite_store",
    "open_postgres_store",
    "open_sqlite_store",
    "share_server_lock",
]


class Store:
    """The stores of one set of databases. As an async context manager it closes itself."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.runs = RunStore(databases)
        self.documents = DocumentStore(databases)
        self.acks = AckStore(databases)
        self.accounts = AccountStore(databases)
        self.codes = CodeStore(databases)
        self.tokens = TokenStore(databases)
        self.answers = AnswerStore(databases)

    async def old_logs(self, tenant: str, days: float) -> tuple[str, ...]:
        """The ids of the runs whose logs `drop_logs` would delete."""
        return await old_logs(self._databases, tenant, days)

    async def drop_logs(self, tenant: str, days: float) -> tuple[str, ...]:
        """Delete the logs, with their acks, of the tenant's runs that ended more than ``days`` ago; their ids.

        The runs themselves, their steps and artifacts stay. Each log goes whole.
        """
        return await drop_logs(self._databases, tenant, days)

    async def ping(self) -> None:
        """See `orchestrator.ports.RunStore.ping`.

        Raises:
            StoreError: it does not.

        """
        await self.runs.ping()

    async def close(self) -> None:
        """Finish what is under way and let go of every connection and thread. Idempotent; more work is refused."""
        await self._databases.close()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def open_sqlite_store(home: Path, *, busy_timeout_s: float = 5.0) -> Store:
    """The store in the directory ``home``, created where missing; what is there keeps the tables that it has.

    One process at a time may have a home open; seeing to that is the caller's. ``busy_timeout_s`` is how long a write
    waits for another process that holds a file all the same.

    Raises:
        OlderSchemaError: an older release has written there, and `migrate_sqlite_store` has not been called since.
        NewerSchemaError: a newer release has written there.
        StoreError: the home cannot be read or written.

    """
    return Store(await SqliteDatabases.open(home, busy_timeout_s=busy_timeout_s))


async def migrate_sqlite_store(home: Path) -> MigrationReport:
    """Bring the store in ``home``, which no process may have open, to the tables of this release. Idempotent.

    Each file is migrated whole or not at all; after a failure or a kill, the next call goes on with what is left.

    Raises:
        NewerSchemaError: a newer release has written there.
        StoreError: there is no store, or it cannot be read or written.

    """
    return await in_thread(migrate_home, home)


async def open_postgres_store(url: str, pool: PoolSettings = DEFAULT_POOL) -> Store:
    """The store in the PostgreSQL database at ``url``, whose tables `migrate_postgres_store` has made.

    ``url`` is one that asyncpg takes: ``postgresql://user:password@host:port/database?sslmode=…``. No error tells
    its password.

    Raises:
        OlderSchemaError: there are no tables yet, or those of an older release.
        NewerSchemaError: a newer release has written there.
        StoreError: it is no such URL, or the server cannot be reached or refuses.

    """
    from orchestrator.store.postgres import PostgresDatabases  # noqa: PLC0415

    return Store(await PostgresDatabases.open(url, pool))


def share_server_lock(url: str) -> AbstractAsyncContextManager[None]:
    """While it is open, nobody changes the tables of the PostgreSQL database at ``url``; others may have it open.

    When its connection is lost, it is taken again as soon as that is possible.

    Raises:
        DatabaseInUseError: the tables are being changed.
        StoreError: it is no such URL, or the server cannot be reached or refuses.

    """
    from orchestrator.store import server_lock  # noqa: PLC0415

    return server_lock.share_server_lock(url)


async def migrate_postgres_store(url: str) -> MigrationReport:
    """Bring the store at ``url`` to the tables of this release, and make them in an empty database. Idempotent.

    Two at once are one after the other. Each schema is migrated whole or not at all; after a failure or a kill, the
    next call goes on with what is left.

    Raises:
        NewerSchemaError: a newer release has written there.
        StoreError: it is no such URL, or the server cannot be reached or refuses.

    """
    from orchestrator.store.postgres_migrations import migrate_database  # noqa: PLC0415

    return await in_thread(migrate_database, url)
