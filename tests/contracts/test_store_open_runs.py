"""The runs that look for a worker, on PostgreSQL, where several processes share one database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from store_material import Project, complete, done, new_run, open_project, running

from orchestrator.endings import interruption
from orchestrator.errors import ClaimLostError
from orchestrator.records import Claim, NewRun
from orchestrator.store import Store, open_postgres_store

TENANTS = ("acme", "demo")

KEPT = "SELECT tenant, run_id, created_at, lease_until FROM public.open_runs ORDER BY tenant, run_id"

TRUE = " UNION ALL ".join(
    f"SELECT '{tenant}' AS tenant, id AS run_id, created_at, lease_until "
    f"FROM tenant_{tenant}.agent_runs WHERE ended_at IS NULL"
    for tenant in TENANTS
)


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[Store]]:
    """Two stores on one database, as two processes have them."""
    async with await open_postgres_store(postgres_url) as first, await open_postgres_store(postgres_url) as second:
        yield [first, second]


@pytest.mark.parametrize("seed", range(4))
async def test_open_runs_equal_the_rows_whatever_happens(stores: list[Store], postgres_url: str, seed: int) -> None:
    """After any series of acceptances, claims, saves and ends, by both, the table tells the same as all tenants."""
    dice = random.Random(seed)
    projects = {(store, tenant): await open_project(store, tenant) for store in stores for tenant in TENANTS}
    runs: list[tuple[str, NewRun]] = []
    connection = await asyncpg.connect(postgres_url)

    async def act() -> None:
        store, tenant = dice.choice(stores), dice.choice(TENANTS)
        if not runs or dice.random() < 0.2:
            run = new_run(projects[store, tenant].id)
            runs.append((tenant, run))
            await store.runs.accept_run(tenant, run)
            return
        tenant, run = dice.choice(runs)
        token = dice.choice(["a", "b"])
        match dice.randrange(7):
            case 0:
                await store.runs.claim_run(tenant, run.id, token, dice.choice([0, 3600]), seize=dice.random() < 0.5)
            case 1:
                await store.runs.release_claim(Claim(tenant, run.id, token))
            case 2:
                await store.runs.renew_claims(tenant, {one.id: token for at, one in runs if at == tenant})
            case 3:
                await store.runs.save(tenant, run.id, token, [running(run, 0, dice.randrange(100))])
            case 4:
                await store.runs.save(tenant, run.id, token, [complete(run, dice.randrange(3))])
            case 5:
                await store.runs.save(tenant, run.id, token, [done(run)])
            case 6:
                await store.runs.end_run(tenant, run.id, lambda record: interruption(record, "enough"))

    for _ in range(12):
        answers = await asyncio.gather(*(act() for _ in range(6)), return_exceptions=True)
        assert {type(answer) for answer in answers} <= {type(None), ClaimLostError}
        kept = [tuple(row) for row in await connection.fetch(KEPT)]
        assert kept == [tuple(row) for row in await connection.fetch(f"{TRUE} ORDER BY tenant, run_id")]
        assert {run[:2] for run in kept} == set(await stores[0].runs.unfinished_runs())
        assert {run[:2] for run in kept if run[3] is None} <= set(await stores[1].runs.free_runs())
    await connection.close()


async def test_claims_of_two_processes_at_once_give_each_run_one_winner(stores: list[Store]) -> None:
    """Both look for work and claim all they find at the same moment; no run is had twice, and none is taken over."""
    first = await open_project(stores[0])
    runs = [await first.accept(token=None) for _ in range(20)]

    async def take(store: Store, name: str) -> set[str]:
        found = await store.runs.free_runs()
        claims = [store.runs.claim_run(tenant, run_id, name) for tenant, run_id in found]
        return {record.id for record in await asyncio.gather(*claims) if record is not None}

    one, other = await asyncio.gather(take(stores[0], "one"), take(stores[1], "other"))
    assert one.isdisjoint(other)
    assert one | other == {run.id for run in runs}
    for held, name in ((one, "one"), (other, "other")):
        assert await stores[0].runs.held_claims(first.tenant, dict.fromkeys(held, name)) == held
    assert await stores[1].runs.free_runs() == ()
    assert {(await first.get(run)).takeovers for run in runs} == {0}


async def test_worker_and_seizer_in_two_processes_leave_one_log(stores: list[Store]) -> None:
    """While one saves again and again, the other seizes the run: the log has no gap, and one edge between both."""
    mine = await open_project(stores[0])
    other = Project(stores[1], mine.id)
    for _ in range(5):
        run = await mine.accept()
        await mine.save(run, running(run))

        async def write(run: NewRun = run) -> int:
            for percent in range(1, 1000):
                try:
                    await mine.save(run, running(run, 0, percent % 100))
                except ClaimLostError:
                    return percent - 1
            raise AssertionError("the run was never taken over")

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        seized = await other.store.runs.claim_run(other.tenant, run.id, "other", seize=True)
        assert seized is not None
        (after,) = await other.save(run, running(run, 1), token="other")
        assert after.id == seized.last_event_id + 1
        assert await writing == seized.last_event_id - 4


async def test_runs_of_a_tenant_that_was_removed_are_not_looked_for(stores: list[Store], postgres_url: str) -> None:
    """Runs left behind by a tenant whose data and entry an operator has dropped stand in nobody's way."""
    demo, acme = await open_project(stores[0], "demo"), await open_project(stores[0], "acme")
    left, run = await acme.accept(token=None), await demo.accept(token=None)
    both = ((acme.tenant, left.id), (demo.tenant, run.id))
    assert await stores[1].runs.free_runs() == both
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("DROP SCHEMA tenant_acme CASCADE; DELETE FROM public.tenants WHERE slug = 'acme'")
    await connection.close()
    assert await stores[1].runs.free_runs() == both[1:]
    assert await stores[1].runs.unfinished_runs() == both[1:]
