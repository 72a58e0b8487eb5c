"""What becomes of units of work when PostgreSQL refuses, waits or loses them. Faults are those of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from postgres_server import PostgresServer
from postgres_stage import INSERT, SIZE, Stage, open_stage, pid_of

from orchestrator.errors import StoreError
from orchestrator.store.base import Session
from orchestrator.store.postgres import ATTEMPTS

REFUSE_AT_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$
"""
DEFER = """
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON tenant_demo.projects DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.id = 'bad') EXECUTE FUNCTION refuse()
"""
TOUCH = "UPDATE {tenant}.projects SET name = name || :mark WHERE id = :id"


@pytest.fixture
async def stage(postgres: PostgresServer) -> AsyncIterator[Stage]:
    """A pool of four connections; afterwards it still has four, all of use."""
    async with open_stage(postgres) as stage:
        yield stage
        await stage.check_pool()


async def test_commit_that_fails_keeps_nothing(stage: Stage) -> None:
    """When COMMIT itself is refused, the unit gets StoreError and leaves nothing; those beside it are kept."""
    stage.sql(REFUSE_AT_COMMIT)
    stage.sql(DEFER)
    outcomes = await asyncio.gather(
        stage.insert("a"), *(stage.insert(f"x{n}", "bad") for n in range(2 * SIZE)), return_exceptions=True
    )
    assert outcomes[0] is None
    for outcome in outcomes[1:]:
        assert isinstance(outcome, StoreError)
        assert isinstance(outcome.__cause__, asyncpg.RaiseError)
        assert "COMMIT" in str(outcome)
    await stage.insert("b")
    assert await stage.ids() == ["a", "b"]


@pytest.mark.parametrize("then", ["commit", "another statement", "an error of its own"])
async def test_connection_killed_within_a_unit_keeps_nothing(stage: Stage, then: str) -> None:
    """A unit whose connection is lost, at any point, gets StoreError and leaves nothing; the next has a new one."""

    async def work(session: Session) -> None:
        await session.execute(INSERT, id="lost")
        stage.sql("SELECT pg_terminate_backend($1)", await pid_of(session))
        if then == "another statement":
            await session.execute(INSERT, id="more")
        if then == "an error of its own":
            raise StoreError("own")

    for _ in range(2 * SIZE):
        with pytest.raises(StoreError):
            await stage.databases.write("demo", work)
    await stage.insert("kept")
    assert await stage.ids() == ["kept"]


async def test_idle_connections_killed_are_replaced(stage: Stage) -> None:
    """Connections that are lost while nobody uses them are noticed by nobody."""
    await stage.check_pool()
    killed = stage.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = $1 AND application_name = 'runcast'",
        stage.name,
    )
    assert len(killed) == SIZE
    await stage.insert("a")
    assert await stage.ids() == ["a"]


async def test_unit_that_hides_an_error_is_refused(stage: Stage) -> None:
    """A unit that goes on after a refused statement would be rolled back silently by COMMIT: it gets StoreError."""

    async def work(session: Session) -> None:
        await session.execute(INSERT, id="a")
        with pytest.raises(StoreError):
            await session.execute(INSERT, id="a")

    with pytest.raises(StoreError, match="answered COMMIT with ROLLBACK"):
        await stage.databases.write("demo", work)
    assert await stage.ids() == []


async def test_unit_that_raises_is_taken_back(stage: Stage) -> None:
    """An error of the unit itself comes out as it is, and nothing is kept."""

    async def work(session: Session) -> None:
        await session.execute(INSERT, id="half")
        raise LookupError("changed its mind")

    for _ in range(2 * SIZE):
        with pytest.raises(LookupError):
            await stage.databases.write("demo", work)
    assert await stage.ids() == []


async def test_read_that_writes_is_refused(stage: Stage) -> None:
    """A unit of work for reading cannot write."""
    for _ in range(2 * SIZE):
        with pytest.raises(StoreError, match="read-only"):
            await stage.databases.read("demo", lambda session: session.execute(INSERT, id="a"))
    assert await stage.ids() == []


async def test_units_in_deadlock_both_succeed(stage: Stage) -> None:
    """Of two units that hold what the other needs, PostgreSQL ends one; it is done again, and both are kept once."""
    await stage.insert("a", "b")
    both = asyncio.Barrier(2)
    attempts = 0

    async def touch(session: Session, first: str, second: str) -> None:
        nonlocal attempts
        attempts += 1
        await session.execute("SET LOCAL deadlock_timeout = '10ms'")
        await session.execute(TOUCH, id=first, mark="!")
        if attempts <= 2:
            await both.wait()
        await session.execute(TOUCH, id=second, mark="!")

    await asyncio.gather(
        stage.databases.write("demo", lambda session: touch(session, "a", "b")),
        stage.databases.write("demo", lambda session: touch(session, "b", "a")),
    )
    assert attempts == 3
    assert stage.sql("SELECT name FROM tenant_demo.projects ORDER BY id") == [("a!!",), ("b!!",)]


async def test_unit_in_the_way_each_time_fails_after_all_attempts(stage: Stage) -> None:
    """A unit that PostgreSQL ends as the victim of a deadlock each time fails after its attempts."""
    attempts = 0

    async def work(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        await session.execute(INSERT, id="victim")
        await session.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")

    with pytest.raises(StoreError) as failed:
        await stage.databases.write("demo", work)
    assert isinstance(failed.value.__cause__, asyncpg.DeadlockDetectedError)
    assert attempts == ATTEMPTS
    assert await stage.ids() == []


async def test_statement_that_takes_too_long_is_ended(postgres: PostgresServer) -> None:
    """A statement beyond its time is StoreError, is not done again, and its connection serves on."""
    async with open_stage(postgres, statement_timeout_s=0.3) as stage:
        attempts = 0

        async def work(session: Session) -> None:
            nonlocal attempts
            attempts += 1
            await session.execute(INSERT, id="slow")
            await session.execute("SELECT pg_sleep(60)")

        with pytest.raises(StoreError, match="statement timeout"):
            await stage.databases.write("demo", work)
        assert attempts == 1
        assert await stage.ids() == []
        await stage.check_pool()


async def test_unit_that_dawdles_is_ended_by_the_server(postgres: PostgresServer) -> None:
    """A transaction that does nothing for too long holds no locks for ever: the server ends it."""
    async with open_stage(postgres, statement_timeout_s=0.3) as stage:
        gone = "SELECT 1 FROM pg_stat_activity WHERE pid = $1"

        async def work(session: Session) -> None:
            await session.execute(INSERT, id="a")
            pid = await pid_of(session)
            while stage.sql(gone, pid):
                await asyncio.sleep(0.01)

        with pytest.raises(StoreError):
            await stage.databases.write("demo", work)
        assert await stage.ids() == []
        await stage.check_pool()


async def test_lock_of_others_that_stays_fails_after_all_attempts(postgres: PostgresServer) -> None:
    """A row that another transaction holds is waited for, several times, and then the unit fails as StoreError."""
    async with open_stage(postgres, lock_timeout_s=0.02) as stage:
        await stage.insert("a")
        attempts = 0

        async def work(session: Session) -> None:
            nonlocal attempts
            attempts += 1
            await session.execute(INSERT, id="b")
            await session.execute(TOUCH, id="a", mark="!")

        other = await asyncpg.connect(stage.url)
        async with other.transaction():
            await other.execute("SELECT 1 FROM tenant_demo.projects FOR UPDATE")
            with pytest.raises(StoreError, match="lock timeout"):
                await stage.databases.write("demo", work)
        await other.close()
        assert attempts == ATTEMPTS
        assert await stage.ids() == ["a"]
        await stage.check_pool()


async def test_lock_of_others_that_goes_is_got_at_a_later_attempt(postgres: PostgresServer) -> None:
    """When the other transaction ends between two attempts, the unit is done, once."""
    async with open_stage(postgres, lock_timeout_s=0.02) as stage:
        await stage.insert("a")
        other = await asyncpg.connect(stage.url)
        blocking = other.transaction()
        await blocking.start()
        await other.execute("SELECT 1 FROM tenant_demo.projects FOR UPDATE")
        attempts = 0

        async def work(session: Session) -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 2:
                await blocking.rollback()
            await session.execute(TOUCH, id="a", mark="!")

        await stage.databases.write("demo", work)
        await other.close()
        assert attempts == 2
        assert stage.sql("SELECT name FROM tenant_demo.projects") == [("a!",)]
        await stage.check_pool()


async def test_pool_in_use_says_so_and_works_again(postgres: PostgresServer) -> None:
    """Whoever waits too long for a connection is told how many there are and how long it was; then all works."""
    async with open_stage(postgres, acquire_timeout_s=0.05, min_size=SIZE) as stage, asyncio.timeout(20):
        busy, leave = asyncio.Barrier(SIZE + 1), asyncio.Event()

        async def work(session: Session) -> None:
            await busy.wait()
            await leave.wait()

        at_work = [asyncio.create_task(stage.databases.write("demo", work)) for _ in range(SIZE)]
        await busy.wait()
        for _ in range(3):
            with pytest.raises(StoreError, match=r"All 4 connections of the pool were in use for 0\.05 s"):
                await stage.insert("a")
        leave.set()
        await asyncio.gather(*at_work)
        await stage.insert("b")
        assert await stage.ids() == ["b"]
        await stage.check_pool()


async def test_cancelled_callers_leave_no_connection_behind(stage: Stage) -> None:
    """Two hundred callers who leave at all moments cost no connection, and each unit is whole or absent."""

    async def add(number: int) -> None:
        await stage.insert(f"{number:03}-one", f"{number:03}-two")

    callers = [asyncio.create_task(add(number)) for number in range(200)]
    for caller in callers:
        await asyncio.sleep(0.0005)
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await stage.check_pool()
    kept = await stage.ids()
    assert [id[:3] for id in kept[::2]] == [id[:3] for id in kept[1::2]]
    assert kept


async def test_statement_of_a_tenant_whose_tables_are_gone_fails_with_store_error(stage: Stage) -> None:
    """A schema that somebody dropped while the store is open is no missing tenant, but an error of the database."""
    await stage.insert("a")
    stage.sql("DROP TABLE tenant_demo.document_versions, tenant_demo.documents CASCADE")
    with pytest.raises(StoreError, match="does not exist"):
        await stage.databases.read("demo", lambda session: session.fetch_all("SELECT id FROM {tenant}.documents"))
    assert await stage.ids() == ["a"]
