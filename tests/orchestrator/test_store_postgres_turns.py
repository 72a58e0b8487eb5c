"""Units that wait for their tenant's turn: they leave the pool to others, in order, and nothing of them stays."""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg
import pytest
from postgres_server import PostgresServer
from postgres_stage import Stage, open_stage

from orchestrator.errors import StoreError
from orchestrator.events import RunEnded
from orchestrator.pipeline import PipelineMode
from orchestrator.records import NewRun, Quota
from orchestrator.store import PoolSettings, Store, open_postgres_store
from orchestrator.store.acks import KEEP
from orchestrator.store.base import Session


class Crowd:
    """Units of work that stay until they are let go, in the order in which they came to work."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._leave = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.at_work: list[int] = []

    def send(self, tenant: str, number: int) -> None:
        """Ask for so many of a tenant."""
        for _ in range(number):
            work = partial(self._stay, len(self._tasks))
            self._tasks.append(asyncio.create_task(self._stage.databases.write_in_turn(tenant, work)))

    async def until_at_work(self, number: int) -> None:
        """Return when as many are at work."""
        async with asyncio.timeout(30):
            while len(self.at_work) < number:
                await asyncio.sleep(0.001)

    async def end(self) -> list[BaseException | None]:
        """Let all go, those that wait as well; how each ended."""
        self._leave.set()
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stay(self, number: int, session: Session) -> None:
        self.at_work.append(number)
        await session.fetch_one("SELECT 1 AS one")
        await self._leave.wait()


async def test_units_in_turn_of_a_tenant_leave_the_pool_to_others(postgres: PostgresServer) -> None:
    """However many one tenant asks for, a third of the pool is at work; all else goes on, and none is forgotten."""
    async with open_stage(postgres, max_size=5, acquire_timeout_s=10.0) as stage:
        await stage.databases.create_tenant("other")
        crowd = Crowd(stage)
        crowd.send("demo", 30)
        await crowd.until_at_work(1)
        async with asyncio.timeout(30):
            for number in range(5):
                await stage.databases.write_in_turn("other", lambda session: session.execute("SELECT 1 AS one"))
                await stage.databases.read_shared(lambda session: session.fetch_one("SELECT 1 AS one"))
                await stage.insert(f"p{number}")
        assert len(crowd.at_work) == 1
        assert await crowd.end() == [None] * 30
        assert crowd.at_work == list(range(30))
        assert stage.databases._turns._lines == {}


async def test_units_in_turn_of_many_tenants_leave_two_connections(postgres: PostgresServer) -> None:
    """All tenants together never hold the whole pool, so that it can still be asked who may do what."""
    async with open_stage(postgres, max_size=6, acquire_timeout_s=10.0) as stage:
        crowd = Crowd(stage)
        for tenant in ("a", "b", "c"):
            await stage.databases.create_tenant(tenant)
        for tenant in ("a", "b", "c"):
            crowd.send(tenant, 5)
        await crowd.until_at_work(4)
        together = asyncio.Barrier(2)

        async def meet(session: Session) -> None:
            await together.wait()

        async with asyncio.timeout(30):
            await asyncio.gather(*(stage.databases.read_shared(meet) for _ in range(2)))
        assert len(crowd.at_work) == 4
        assert await crowd.end() == [None] * 15


async def test_unit_that_waits_too_long_for_its_turn_fails(postgres: PostgresServer) -> None:
    """It is told so, has done nothing, and leaves no trace; others of its tenant are served again afterwards."""
    async with open_stage(postgres, max_size=3, acquire_timeout_s=0.1) as stage:
        crowd = Crowd(stage)
        crowd.send("demo", 1)
        await crowd.until_at_work(1)
        with pytest.raises(
            StoreError, match=r"2 units of work wait for their tenant's turn; expected one within 0\.1 s"
        ):
            await stage.databases.write_in_turn("demo", lambda session: session.execute("SELECT 1 AS one"))
        assert await crowd.end() == [None]
        assert stage.databases._turns._lines == {}
        await stage.databases.write_in_turn("demo", lambda session: session.execute("SELECT 1 AS one"))


async def _project(store: Store, tenant: str) -> str:
    await store.accounts.ensure_tenant(tenant)
    return (await store.accounts.ensure_project(tenant, "web", "Web")).id


async def test_uploads_that_wait_for_a_locked_turn_starve_nobody(postgres_url: str) -> None:
    """While uploads and runs of one tenant wait for its row, another tenant's are served at once."""
    quota = Quota(tenant=10**9)
    async with await open_postgres_store(postgres_url, PoolSettings(acquire_timeout_s=20.0)) as store:
        evil, good = await _project(store, "evil"), await _project(store, "good")
        other = await asyncpg.connect(postgres_url)
        async with other.transaction():
            await other.execute("UPDATE tenant_evil.quota_turns SET turn = turn + 1")
            waiting = [
                asyncio.create_task(
                    store.documents.add_documents("evil", evil, [(f"{number}.md", "x")], "someone", quota)
                )
                for number in range(20)
            ]
            async with asyncio.timeout(10):
                for number in range(5):
                    await store.documents.add_documents("good", good, [(f"{number}.md", "x")], "someone", quota)
                    await store.accounts.list_tenants()
            assert not any(task.done() for task in waiting)
        await other.close()
        await asyncio.gather(*waiting)
        assert len(await store.documents.list_documents("evil", evil)) == 20


async def test_uploads_of_the_same_paths_in_any_order_do_not_lock_each_other_out(postgres_url: str) -> None:
    """Uploads at once that name the same files in opposite orders all succeed, each with a version of its own."""
    paths = [f"{number}.md" for number in range(20)]
    async with await open_postgres_store(postgres_url) as store:
        project = await _project(store, "demo")
        await asyncio.gather(
            *(
                store.documents.add_documents("demo", project, [(path, str(turn)) for path in paths[:: (-1) ** turn]])
                for turn in range(6)
            )
        )
        assert {it.version for it in await store.documents.list_documents("demo", project)} == {6}


async def test_ack_kept_while_its_log_goes_is_taken_by_the_next_drop(postgres_url: str) -> None:
    """Neither transaction sees the other; still no ack outlives its log for longer than to the next call."""
    async with await open_postgres_store(postgres_url) as store:
        project = await _project(store, "demo")
        run = NewRun(
            id="r",
            project_id=project,
            pipeline_mode=PipelineMode.SEQUENTIAL,
            agents_selected=("ba_consultant",),
            step_ids=("s",),
            started_by="u",
        )
        await store.runs.accept_run("demo", run)
        await store.runs.claim_run("demo", "r", "mine")
        await store.runs.save("demo", "r", "mine", [RunEnded.failure("r", "INTERRUPTED", "the test ended it")])
        kept, commit = asyncio.Event(), asyncio.Event()

        async def keep(session: Session) -> None:
            await session.execute(KEEP, run_id="r", user_id="u", client_id="c", event_id=1)
            kept.set()
            await commit.wait()

        keeping = asyncio.create_task(store._databases.write("demo", keep))
        await kept.wait()
        assert await store.drop_logs("demo", days=-1) == ("r",)
        commit.set()
        await keeping
        assert await store.acks.get_ack("demo", "r", "u", "c") == 1
        assert await store.drop_logs("demo", days=-1) == ()
        assert await store.acks.get_ack("demo", "r", "u", "c") is None
