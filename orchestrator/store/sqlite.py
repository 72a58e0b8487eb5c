"""The store's databases as files in a home directory: one per tenant, beside one that all share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.base import SHARED_SCHEMA, TENANTS, TenantNotFoundError, Work
from orchestrator.store.group_commit import GroupCommit
from orchestrator.store.in_flight import InFlight, in_thread
from orchestrator.store.sqlite_driver import Attachment, SqliteSession, store_errors
from orchestrator.store.sqlite_schema import check_tenants, list_files, prepare_file, tenant_file
from orchestrator.store.transactions import Database

Result = TypeVar("Result")

OPEN_RUNS = "SELECT created_at, id FROM {tenant}.agent_runs WHERE ended_at IS NULL"

IF_FREE = " AND (claim_token IS NULL OR lease_until IS NULL OR lease_until < {now})"

OLDEST_SQLITE = (3, 35)
"""The first that knows RETURNING."""

READERS = 3
"""Connections per file that only read; each costs a thread once it has been needed."""


class SqliteFile:
    """One file: a single writer that commits in groups, and a few readers that never wait for it."""

    def __init__(self, attachment: Attachment) -> None:
        self._writer = Database("sqlite://", attachment=attachment, size=1, query_only=False)
        self._readers = Database("sqlite://", attachment=attachment, size=READERS, query_only=True)
        self._reading = SqliteSession(self._readers, attachment.schema)
        self._commits = GroupCommit(self._writer, SqliteSession(self._writer, attachment.schema))

    async def read(self, work: Work[Result]) -> Result:
        """What ``work`` returns, from one snapshot."""
        async with self._readers.transaction(mode="DEFERRED"):
            return await work(self._reading)

    async def write(self, work: Work[Result]) -> Result:
        """What ``work`` returns, after a COMMIT."""
        return await self._commits.write(work)

    async def close(self) -> None:
        """Close all connections."""
        for database in (self._readers, self._writer):
            await database._backend.disconnect()


class SqliteDatabases:
    """`Databases` in a home directory that one process at a time writes to."""

    def __init__(self, home: Path, busy_timeout_s: float) -> None:
        self._home = home.resolve()
        self._busy_timeout_s = busy_timeout_s
        self._files: dict[str, SqliteFile] = {}
        self._opening = asyncio.Lock()
        self._units = InFlight()

    @classmethod
    async def open(cls, home: Path, *, busy_timeout_s: float = 5.0) -> SqliteDatabases:
        """The databases of ``home``, created where missing; what is there keeps the tables that it has.

        ``busy_timeout_s``: how long a write waits for another process that holds the file.

        Raises:
            OlderSchemaError: an older release has written there.
            NewerSchemaError: a newer release has written there.
            MissingTenantError: a tenant is listed that has no file.
            StoreError: SQLite is too old, or the home cannot be read or written.

        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(
                f"SQLite is {sqlite3.sqlite_version}; expected {OLDEST_SQLITE[0]}.{OLDEST_SQLITE[1]} or newer."
            )
        opened = cls(home, busy_timeout_s)
        await opened._units.run(opened._open_home())
        return opened

    async def read(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.read`."""
        return await self._units.run(self._read(tenant, work))

    async def write(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.write`."""
        return await self._units.run(self._write(tenant, work))

    async def write_in_turn(self, tenant: str, work: Work[Result]) -> Result:
        """See `Databases.write_in_turn`. A file has one writer, so whoever writes has the turn."""
        return await self.write(tenant, work)

    async def read_shared(self, work: Work[Result]) -> Result:
        """See `Databases.read_shared`."""
        return await self._units.run(self._files[SHARED_SCHEMA].read(work))

    async def write_shared(self, work: Work[Result]) -> Result:
        """See `Databases.write_shared`."""
        return await self._units.run(self._files[SHARED_SCHEMA].write(work))

    async def open_runs(self, *, free: bool) -> tuple[tuple[str, str], ...]:
        """See `Databases.open_runs`. Looks into the file of every tenant."""
        sql = OPEN_RUNS + IF_FREE if free else OPEN_RUNS
        found: list[tuple[str, str, str]] = []
        for tenant in await self.read_shared(lambda session: session.fetch_all(TENANTS)):
            slug = str(tenant["slug"])
            rows = await self.read(slug, lambda session: session.fetch_all(sql))
            found += [(row["created_at"], slug, row["id"]) for row in rows]
        return tuple((slug, run_id) for _, slug, run_id in sorted(found))

    async def create_tenant(self, tenant: str) -> None:
        """See `Databases.create_tenant`."""
        await self._units.run(self._ready([self._tenant(tenant)]))

    async def close(self) -> None:
        """See `Databases.close`. The last connection to a file moves its write-ahead log into it."""
        await asyncio.shield(asyncio.create_task(self._close()))

    async def _read(self, tenant: str, work: Work[Result]) -> Result:
        return await (await self._tenant_file(tenant)).read(work)

    async def _write(self, tenant: str, work: Work[Result]) -> Result:
        return await (await self._tenant_file(tenant)).write(work)

    async def _tenant_file(self, tenant: str) -> SqliteFile:
        attachment = self._tenant(tenant)
        if attachment.schema not in self._files:
            if not attachment.file.exists():
                raise TenantNotFoundError(f"There is no tenant {tenant!r}.")
            await self._ready([attachment])
        return self._files[attachment.schema]

    async def _ready(self, attachments: Sequence[Attachment]) -> None:
        """Fill the files that are new, check those that are not, and have them at hand."""
        async with self._opening:
            await in_thread(_prepare, attachments)
            for attachment in attachments:
                self._files.setdefault(attachment.schema, SqliteFile(attachment))

    async def _open_home(self) -> None:
        with store_errors(SHARED_SCHEMA):
            (self._home / "tenants").mkdir(mode=0o700, parents=True, exist_ok=True)
        files = list_files(self._home, self._busy_timeout_s)
        await self._ready(files)
        await in_thread(check_tenants, files[0])

    def _tenant(self, tenant: str) -> Attachment:
        return tenant_file(self._home, tenant, self._busy_timeout_s)

    async def _close(self) -> None:
        await self._units.finish()
        while self._files:
            await self._files.popitem()[1].close()


def _prepare(attachments: Sequence[Attachment]) -> None:
    for attachment in attachments:
        prepare_file(attachment)
