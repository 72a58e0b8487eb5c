"""Servers of one PostgreSQL database, any number, and none while its tables change: a lock that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncpg
import structlog

from orchestrator.errors import StoreError
from orchestrator.store.base import DatabaseInUseError
from orchestrator.store.postgres_connect import connect, safe_url, store_errors

_log = structlog.get_logger(__name__)

SERVER_LOCK = int.from_bytes(b"runcast", "big") + 1
"""The advisory lock of the database that its servers share, and that nobody but who changes its tables has alone."""

RETRY_S = 1.0

PROBE_S = 10.0
"""How often the connection is asked whether it still is one, and the longest it may take to answer."""

RELEASE_S = 0.5
"""How long PostgreSQL has for saying goodbye."""

KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""So that PostgreSQL frees the lock of a machine that vanished within half a minute, not within two hours."""

TRY_SHARE = "SELECT pg_try_advisory_lock_shared($1)"

Connection: TypeAlias = "asyncpg.Connection[Any]"


@asynccontextmanager
async def share_server_lock(url: str) -> AsyncIterator[None]:
    """While this is open, nobody changes the tables of the database at ``url``; others may have the same open.

    PostgreSQL gives the lock away when the connection is lost, so it is taken again as soon as there is another.
    Where somebody began to change tables in between, that is logged as an error until they have done.

    Raises:
        DatabaseInUseError: its tables are being changed.
        StoreError: the server cannot be reached or refuses.

    """
    lock = _ServerLock(url, await _take(url))
    keeping = asyncio.create_task(lock.keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await lock.release()


class _ServerLock:
    """A share of the lock, and the connection that holds it."""

    def __init__(self, url: str, connection: Connection) -> None:
        self._url = url
        self._connection = connection

    async def keep(self) -> None:
        """Take it again whenever it was lost, until this is cancelled."""
        while True:
            await _lost(self._connection)
            _log.warning("the connection that holds the server's lock was lost")
            self._connection = await _take_again(self._url)
            _log.info("the server's lock is held again")

    async def release(self) -> None:
        """Return when another may have it. Never raises."""
        with suppress(Exception):  # the connection is ended all the same
            await self._connection.close(timeout=RELEASE_S)


async def _take(url: str) -> Connection:
    connection = await connect(url, **KEEPALIVE)
    try:
        with store_errors("taking the server's lock"):
            if await connection.fetchval(TRY_SHARE, SERVER_LOCK):
                return connection
        raise DatabaseInUseError(
            f"The tables of the database at {safe_url(url)} are being changed; expected that to be over. "
            "Wait until `runcast migrate` is done."
        )
    except BaseException:
        connection.terminate()
        raise


async def _take_again(url: str) -> Connection:
    told = False
    while True:
        try:
            return await _take(url)
        except DatabaseInUseError as error:
            if not told:
                _log.error("tables are being changed below this server", reason=str(error))
            told = True
        except StoreError:
            told = False
        await asyncio.sleep(RETRY_S)


async def _lost(connection: Connection) -> None:
    """Return when the connection has ended, or no longer answers."""
    ended = asyncio.Event()

    def end(_: object) -> None:
        ended.set()

    connection.add_termination_listener(end)
    while not connection.is_closed():
        try:
            await asyncio.wait_for(ended.wait(), PROBE_S)
        except TimeoutError:
            if not await _answers(connection):
                connection.terminate()


async def _answers(connection: Connection) -> bool:
    try:
        await connection.execute("SELECT 1", timeout=PROBE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True
