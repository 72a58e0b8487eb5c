"""Opening what a server keeps: its home, and the store that is in it or in PostgreSQL."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from orchestrator.store import (
    MigrationReport,
    PoolSettings,
    Store,
    migrate_postgres_store,
    migrate_sqlite_store,
    open_postgres_store,
    open_sqlite_store,
    share_server_lock,
)
from orchestrator.store.base import PROJECT_SLUG, check_slug
from realtime.settings import Settings


class HomeLockedError(Exception):
    """Another process has this home open; the text says which home."""


async def open_store(settings: Settings) -> Store:
    """The store of ``settings``: the PostgreSQL database that they name, else the files of their home, made on first
    use. Others may have it open, too.

    Raises:
        OlderSchemaError: an older release has written there, or a PostgreSQL database has no tables yet.
        NewerSchemaError: a newer release has written there.
        StoreError: it cannot be reached, read or written. No text tells a password.

    """
    if settings.database_url is None:
        _make(settings.home)
        return await open_sqlite_store(settings.home)
    pool = PoolSettings(
        max_size=settings.database_pool_size,
        acquire_timeout_s=settings.database_timeout_s,
        statement_timeout_s=settings.database_timeout_s,
    )
    return await open_postgres_store(settings.database_url, pool)


@contextlib.asynccontextmanager
async def hold_home(settings: Settings) -> AsyncIterator[None]:
    """Be the one process that serves the home, and one of those that serve its PostgreSQL database where it has one.

    Raises:
        HomeLockedError: another process has the home.
        DatabaseInUseError: the tables of the database are being changed.

    """
    _make(settings.home)
    url = settings.database_url
    with _locked(settings.home):
        async with contextlib.nullcontext() if url is None else share_server_lock(url):
            yield


async def migrate(settings: Settings) -> MigrationReport:
    """Bring the store of ``settings`` to the tables of this release, and make them in an empty PostgreSQL database.

    Idempotent, also after a failure or a kill: what is done stays done. Two at once do it one after the other.

    Raises:
        HomeLockedError: a server has the home, whose files are to be migrated.
        DatabaseInUseError: servers use the PostgreSQL database.
        NewerSchemaError: a newer release has written there.
        StoreError: there is no store, or it cannot be reached, read or written.

    """
    if settings.database_url is not None:
        return await migrate_postgres_store(settings.database_url)
    with _locked(settings.home):
        return await migrate_sqlite_store(settings.home)


def read_secret(home: Path) -> bytes:
    """The home's signing secret, made once, readable by its owner only."""
    _make(home)
    path = home / "secret"
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=home, prefix="secret.")
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # whole or not at all, also when two processes come at once
        Path(draft).unlink()
    return path.read_text().strip().encode()


def printable_url(url: str) -> str:
    """The URL of a PostgreSQL database without its passwords."""
    # A home in SQLite starts without the driver of PostgreSQL.
    from orchestrator.store.postgres_connect import safe_url  # noqa: PLC0415

    return safe_url(url)


def check_tenant_slug(slug: str) -> str:
    """The slug, unchanged.

    Raises:
        InvalidSlugError: no tenant can be called so; the text tells the rule.

    """
    return check_slug(slug)


def check_project_slug(slug: str) -> str:
    """The slug, unchanged.

    Raises:
        InvalidSlugError: no project can be called so; the text tells the rule.

    """
    return check_slug(slug, PROJECT_SLUG)


def _make(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold the home's lock; the system lets go of it when the process ends, however it ends."""
    path = home / "lock"
    path.touch(0o600)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeLockedError(f"another process has the home {home} open") from None
        yield
