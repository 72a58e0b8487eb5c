"""The server below the store: stopped, crashed, started again, out of reach, and shared by servers."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import pytest
from postgres_server import PASSWORD, OwnPostgresServer, PostgresServer, own_server
from postgres_stage import INSERT, SIZE, Stage, open_stage
from structlog.testing import capture_logs

from orchestrator import store as store_package
from orchestrator.errors import StoreError
from orchestrator.store import (
    DatabaseInUseError,
    PoolSettings,
    migrate_postgres_store,
    open_postgres_store,
    server_lock,
    share_server_lock,
)
from orchestrator.store import runs as runs_module
from orchestrator.store.base import Session
from orchestrator.store.postgres import PostgresDatabases
from orchestrator.store.postgres_connect import safe_url
from orchestrator.store.server_lock import SERVER_LOCK

HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND database = $2 AND granted"


@pytest.fixture(scope="module")
def own() -> Iterator[OwnPostgresServer]:
    """A server of this module's own."""
    with own_server() as server:
        yield server


@pytest.fixture
async def stage(own: OwnPostgresServer) -> AsyncIterator[Stage]:
    """A pool on it."""
    async with open_stage(own) as stage:
        yield stage


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_server_stopped_and_started_leaves_the_pool_whole(
    own: OwnPostgresServer, stage: Stage, mode: str
) -> None:
    """While the server is gone every unit is StoreError; when it is back, the pool heals to its old size."""
    await stage.check_pool()
    await stage.insert("before")
    asleep = asyncio.Barrier(SIZE + 1)

    async def work(number: int, session: Session) -> None:
        await session.execute(INSERT, id=f"lost{number}")
        await asleep.wait()
        await session.execute("SELECT pg_sleep(60)")

    units = [asyncio.create_task(stage.databases.write("demo", partial(work, number))) for number in range(SIZE)]
    await asleep.wait()
    await asyncio.to_thread(own.stop, mode)
    outcomes = await asyncio.gather(*units, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError] * SIZE
    for _ in range(2 * SIZE):
        with pytest.raises(StoreError, match="ConnectionRefused"):
            await stage.insert("nowhere")
    await asyncio.to_thread(own.start)
    await stage.insert("after")
    assert await stage.ids() == ["after", "before"]
    await stage.check_pool()


async def test_ping_says_whether_the_server_answers(own: OwnPostgresServer) -> None:
    """A ping is StoreError while the server is gone, and nothing as soon as it is back."""
    with own.database() as url:
        async with await open_postgres_store(url) as store:
            await store.ping()
            await asyncio.to_thread(own.stop)
            with pytest.raises(StoreError):
                await store.ping()
            await asyncio.to_thread(own.start)
            await store.ping()


async def test_ping_of_a_store_that_hangs_fails_in_time(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping that gets no connection is StoreError after its own time, not after the pool's."""
    monkeypatch.setattr(runs_module, "PING_S", 0.05)
    databases = await PostgresDatabases.open(postgres_url, PoolSettings(max_size=1, acquire_timeout_s=60))
    busy, leave = asyncio.Event(), asyncio.Event()

    async def work(session: Session) -> None:
        busy.set()
        await leave.wait()

    at_work = asyncio.create_task(databases.read_shared(work))
    await busy.wait()
    async with store_package.Store(databases) as store:
        with pytest.raises(StoreError, match=r"not answered for 0\.05 s"):
            await store.ping()
        leave.set()
        await at_work
        await store.ping()


def _with(url: str, **parts: str) -> str:
    return urlsplit(url)._replace(**parts).geturl()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url.replace(PASSWORD, PASSWORD + "-wrong"),
        lambda url: _with(url, path="/no_such_database"),
        lambda url: _with(url, netloc=f"postgres:{PASSWORD}@127.0.0.1:1"),
        lambda url: _with(url, netloc=f"postgres:{PASSWORD}@no-such-host.invalid:5432"),
        lambda url: _with(url, netloc=f"postgres:12/{PASSWORD}@127.0.0.1:5432"),
        lambda url: _with(url, netloc=f"postgres:{PASSWORD}/5@127.0.0.1:5432"),
        lambda url: _with(url, netloc=f"postgres:{PASSWORD}@127.0.0.1:{PASSWORD}"),
        lambda url: _with(url, scheme="mysql"),
        lambda url: _with(url, scheme=""),
        lambda url: _with(url, query=f"password={PASSWORD}-wrong&sslmode=odd"),
        lambda url: _with(url, query="sslmode=require"),
        lambda url: _with(url, query="no_such_setting=1"),
        lambda _: f"postgres:{PASSWORD}",
        lambda _: PASSWORD,
        lambda _: "",
    ],
)
async def test_url_that_leads_nowhere_fails_without_its_password(
    own: OwnPostgresServer, caplog: pytest.LogCaptureFixture, spoil: Callable[[str], str]
) -> None:
    """Whatever is wrong with a URL, that is a StoreError; neither it, nor its causes, nor a log has the password."""
    caplog.set_level(logging.DEBUG)
    with own.database() as url:
        for use in (open_postgres_store, migrate_postgres_store, _share):
            with pytest.raises(StoreError) as failed:
                await use(spoil(url))
            told = "".join(traceback.format_exception(failed.value))
            assert PASSWORD not in told + caplog.text


async def _share(url: str) -> None:
    async with share_server_lock(url):
        pass


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
async def test_url_of_either_scheme_with_options_is_taken(own: OwnPostgresServer, scheme: str) -> None:
    """Both schemes and the options of asyncpg work."""
    with own.database() as url:
        async with await open_postgres_store(_with(url, scheme=scheme, query="sslmode=prefer")) as store:
            await store.ping()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://app:pass@host:5432/db", "postgresql://app:***@host:5432/db"),
        ("postgresql://app:p@ss/wo:rd@host/db", "postgresql://app:***@host/db"),
        ("postgresql://app@host:5432/db", "postgresql://app@host:5432/db"),
        ("postgresql://host/db?password=pass&sslmode=allow", "postgresql://host/db?password=***&sslmode=allow"),
        ("postgresql:///db?host=/tmp", "postgresql:///db?host=/tmp"),
    ],
)
def test_safe_url_masks_passwords_only(url: str, told: str) -> None:
    """What people read of a URL is all of it but its passwords."""
    assert safe_url(url) == told


async def test_server_lock_is_shared_by_servers_and_refused_while_tables_change(postgres_url: str) -> None:
    """Any number of servers have it at once; none gets it while somebody has it alone, and all can after that."""
    async with share_server_lock(postgres_url), share_server_lock(postgres_url):
        await _share(postgres_url)
    migrating = await asyncpg.connect(postgres_url)
    await migrating.execute("SELECT pg_advisory_lock($1)", SERVER_LOCK)
    with pytest.raises(DatabaseInUseError, match=r"are being changed.*runcast migrate") as refused:
        await _share(postgres_url)
    assert PASSWORD not in str(refused.value)
    await migrating.close()
    await _share(postgres_url)


class Holder:
    """Who holds the servers' lock of a database."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self._server = server
        name = urlsplit(url).path.removeprefix("/")
        (database,) = server.run("SELECT oid FROM pg_database WHERE datname = $1", name)[0]
        self._lock = (SERVER_LOCK & 0xFFFFFFFF, database)

    def pids(self) -> list[int]:
        """The processes of the server, one or none."""
        return [row[0] for row in self._server.run(HOLDERS, *self._lock)]

    def kill(self) -> int:
        """End the connection that holds it; its process."""
        (pid,) = self.pids()
        self._server.run("SELECT pg_terminate_backend($1, 5000)", pid)
        return pid

    async def is_awaited(self) -> None:
        """Return when somebody waits for it."""
        while not self._server.run(HOLDERS.replace("AND granted", "AND NOT granted"), *self._lock):
            await asyncio.sleep(0.01)

    async def other_than(self, pid: int) -> int:
        """The process that holds it once that is another."""
        async with asyncio.timeout(30):
            while not self.pids() or self.pids() == [pid]:
                await asyncio.sleep(0.01)
        return self.pids()[0]


async def test_share_of_the_server_lock_that_is_lost_is_taken_again(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its connection is ended, the lock is held again by another one, and free at the end."""
    monkeypatch.setattr(server_lock, "RETRY_S", 0.01)
    holder = Holder(postgres, postgres_url)
    async with share_server_lock(postgres_url):
        await holder.other_than(holder.kill())
        await holder.other_than(holder.kill())
    assert holder.pids() == []


async def test_tables_changed_below_a_server_that_lost_its_lock_are_an_error_in_the_log(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that lost its share to a migration says so, keeps trying, and has it again when that is over."""
    monkeypatch.setattr(server_lock, "RETRY_S", 0.01)
    holder = Holder(postgres, postgres_url)
    other = await asyncpg.connect(postgres_url)
    with capture_logs() as logs:
        async with share_server_lock(postgres_url), asyncio.timeout(30):
            waiting = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", SERVER_LOCK))
            await holder.is_awaited()
            holder.kill()
            await waiting
            while not any(log["log_level"] == "error" for log in logs):
                await asyncio.sleep(0.01)
            (migrating,) = holder.pids()
            await other.close()
            await holder.other_than(migrating)
    assert holder.pids() == []
