"""Everything durable, in one place. Outside of this package nobody knows which database it is."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from orchestrator.store.accounts import AccountStore
from orchestrator.store.acks import AckStore
from orchestrator.store.base import Databases
from orchestrator.store.documents import DocumentStore
from orchestrator.store.retention import drop_logs
from orchestrator.store.runs import RunStore
from orchestrator.store.sqlite import SqliteDatabases

__all__ = ["AccountStore", "AckStore", "DocumentStore", "RunStore", "Store", "open_sqlite_store"]


class Store:
    """The stores of one set of databases. As an async context manager it closes itself."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.runs = RunStore(databases)
        self.documents = DocumentStore(databases)
        self.acks = AckStore(databases)
        self.accounts = AccountStore(databases)

    async def drop_logs(self, tenant: str, days: float) -> tuple[str, ...]:
        """Delete the logs, with their acks, of the tenant's runs that ended more than ``days`` ago; their ids.

        The runs themselves, their steps and artifacts stay. Each log goes whole.
        """
        return await drop_logs(self._databases, tenant, days)

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
    """The store in the directory ``home``, created where missing and brought to the tables of this release.

    One process at a time may have a home open; seeing to that is the caller's. ``busy_timeout_s`` is how long a write
    waits for another process that holds a file all the same.

    Raises:
        NewerSchemaError: a newer release has written there.
        StoreError: the home cannot be read or written.

    """
    return Store(await SqliteDatabases.open(home, busy_timeout_s=busy_timeout_s))
