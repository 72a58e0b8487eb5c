"""The claims of a process: renewed while it works, and what happens to the work when one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from manual_clock import ManualClock
from run_stage import BA, RunStage, Through, finished, turns
from service_stage import Away, kept
from store_material import free, open_project

from orchestrator.errors import ClaimLostError
from orchestrator.lease import LOOK_S, Leases
from orchestrator.ports import LEASE_S
from orchestrator.records import Claim, RunRecord


class Work:
    """A task that holds the claim of a run for as long as it is let; ``cancellations`` of its body are counted."""

    def __init__(self, leases: Leases, stage: RunStage, run: RunRecord, token: str = "mine") -> None:
        self.done = asyncio.Event()
        self.cancellations = 0
        self.task = asyncio.create_task(self._hold(leases, Claim(stage.tenant, run.id, token)))

    async def _hold(self, leases: Leases, claim: Claim) -> str:
        with leases.held(claim):
            try:
                await self.done.wait()
            except asyncio.CancelledError:
                self.cancellations += 1
                raise
        return "done"


class Noted(Through):
    """Notes when claims are renewed and looked for, and which."""

    def __init__(self, stage: RunStage) -> None:
        super().__init__(stage.store.runs)
        self.clock = stage.lease_clock
        self.asked: list[tuple[str, float, frozenset[str]]] = []

    async def renew_claims(self, tenant: str, tokens: dict[str, str], lease_s: float) -> frozenset[str]:
        self.asked.append(("renew", self.clock.monotonic(), frozenset(tokens)))
        assert lease_s == LEASE_S
        return await self.store.renew_claims(tenant, tokens, lease_s)

    async def held_claims(self, tenant: str, tokens: dict[str, str]) -> frozenset[str]:
        self.asked.append(("look", self.clock.monotonic(), frozenset(tokens)))
        return await self.store.held_claims(tenant, tokens)


async def held_run(stage: RunStage, lease_s: float = LEASE_S) -> RunRecord:
    """A run that ``mine`` claims."""
    return await stage.claim(await stage.accept(BA), lease_s=lease_s)


async def pass_time(clock: ManualClock, looks: int) -> None:
    """Let ``Leases.keep`` look so many times; return when it waits again."""
    for _ in range(looks):
        naps = len(clock.naps)
        clock.advance(LOOK_S)
        await clock.naps.nth(naps + 1)


async def test_work_that_ends_while_its_claim_holds_returns(stage: RunStage) -> None:
    """Whoever loses nothing notices nothing; afterwards the claim is not looked after any more."""
    noted = Noted(stage)
    leases = Leases(noted, stage.lease_clock)
    async with kept(leases):
        work = Work(leases, stage, await held_run(stage))
        await stage.lease_clock.naps.nth(1)
        await pass_time(stage.lease_clock, 2)
        work.done.set()
        assert await finished(work.task) == "done"
        before = len(noted.asked)
        await pass_time(stage.lease_clock, 4)
    assert before == 2
    assert len(noted.asked) == before
    assert work.cancellations == 0


async def test_claims_are_looked_for_each_second_and_renewed_each_third(stage: RunStage) -> None:
    """A lease of 10 s is renewed every 3 s, so that two renewals may fail; a lost claim is seen within a second."""
    noted = Noted(stage)
    leases = Leases(noted, stage.lease_clock)
    runs = [await held_run(stage) for _ in range(3)]
    async with kept(leases):
        work = [Work(leases, stage, run) for run in runs]
        await stage.lease_clock.naps.nth(1)
        await pass_time(stage.lease_clock, 9)
        for each in work:
            each.done.set()
            await finished(each.task)
    assert [(what, at) for what, at, _ in noted.asked] == [
        ("renew" if second % 3 == 0 else "look", second) for second in range(1, 10)
    ]
    assert {asked for _, _, asked in noted.asked} == {frozenset(run.id for run in runs)}


async def test_renewed_claim_outlasts_its_first_lease(stage: RunStage) -> None:
    """By the store's clock, a claim that is renewed holds though its first lease is over."""
    leases = Leases(stage.store.runs, stage.lease_clock, lease_s=30.0)
    run, left = await held_run(stage, lease_s=0.2), await held_run(stage, lease_s=0.2)
    async with kept(leases):
        work = Work(leases, stage, run)
        await stage.lease_clock.naps.nth(1)
        await pass_time(stage.lease_clock, 9)
        async with asyncio.timeout(30):
            while not await free(stage.store, left):
                await asyncio.sleep(0.002)
        assert not await free(stage.store, run)
        work.done.set()
        await finished(work.task)


async def test_lost_claim_cancels_its_work_and_no_other(stage: RunStage) -> None:
    """The work of a claim that is another's now ends as ClaimLostError; the task that did it may go on."""
    leases = Leases(stage.store.runs, stage.lease_clock)
    lost, held = await held_run(stage), await held_run(stage)
    async with kept(leases):
        losing, holding = Work(leases, stage, lost), Work(leases, stage, held)
        await stage.lease_clock.naps.nth(1)
        await stage.claim(lost, "another")
        await pass_time(stage.lease_clock, 1)
        with pytest.raises(ClaimLostError, match="another worker"):
            await finished(losing.task)
        holding.done.set()
        assert await finished(holding.task) == "done"
    assert (losing.cancellations, holding.cancellations) == (1, 0)
    assert losing.task.cancelling() == 0


async def test_task_that_lost_a_claim_can_wait_again(stage: RunStage) -> None:
    """The cancellation by which the body ends does not reach what its task does afterwards."""
    leases = Leases(stage.store.runs, stage.lease_clock)
    run = await held_run(stage)

    async def lose_and_go_on() -> str:
        with pytest.raises(ClaimLostError), leases.held(Claim(stage.tenant, run.id, "mine")):
            asyncio.get_running_loop().call_soon(leases.lose, stage.tenant, run.id)
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await turns(3)
        return "went on"

    assert await finished(asyncio.create_task(lose_and_go_on())) == "went on"


async def test_cancellation_from_outside_stays_one(stage: RunStage) -> None:
    """Whoever is told to stop is not told that a claim was lost."""
    work = Work(Leases(stage.store.runs, stage.lease_clock), stage, await held_run(stage))
    await turns(2)
    work.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finished(work.task)
    assert work.task.cancelled()


@pytest.mark.parametrize("lost_first", [True, False])
async def test_cancelled_from_outside_and_lost_at_once_is_cancelled(stage: RunStage, *, lost_first: bool) -> None:
    """Of both at once, the wish of whoever runs the task counts; it is not swallowed."""
    leases = Leases(stage.store.runs, stage.lease_clock)
    run = await held_run(stage)
    work = Work(leases, stage, run)
    await turns(2)
    acts = [lambda: leases.lose(stage.tenant, run.id), work.task.cancel]
    for act in acts if lost_first else reversed(acts):
        act()
    with pytest.raises(asyncio.CancelledError):
        await finished(work.task)
    assert work.task.cancelled()
    assert work.cancellations == 1


async def test_error_of_work_whose_claim_is_lost_is_its_own(stage: RunStage) -> None:
    """A body that fails while it is being cancelled fails with its own error, and leaves no cancellation behind."""
    leases = Leases(stage.store.runs, stage.lease_clock)
    run = await held_run(stage)

    async def fail() -> None:
        with leases.held(Claim(stage.tenant, run.id, "mine")):
            leases.lose(stage.tenant, run.id)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise LookupError("while cleaning up") from None

    task = asyncio.create_task(fail())
    with pytest.raises(LookupError):
        await finished(task)
    assert task.cancelling() == 0


async def test_lose_stops_the_work_at_once_and_of_that_run_only(stage: RunStage) -> None:
    """What is known to be lost is not waited for; what is not held here, or is another tenant's, cannot be lost."""
    leases = Leases(stage.store.runs, stage.lease_clock)
    run = await held_run(stage)
    work = Work(leases, stage, run)
    await turns(2)
    leases.lose("another", run.id)
    leases.lose(stage.tenant, "3b0c9a4e-6a0e-4a5f-8a55-1a3c9a1f0f10")
    await turns(5)
    assert work.cancellations == 0
    leases.lose(stage.tenant, run.id)
    leases.lose(stage.tenant, run.id)
    with pytest.raises(ClaimLostError):
        await finished(work.task)
    assert work.cancellations == 1


async def test_outage_of_the_store_stops_no_work_and_is_logged_once(
    stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """While claims cannot be looked for, work goes on; what is found lost afterwards ends then."""
    runs = Away(stage.store.runs)
    leases = Leases(runs, stage.lease_clock)
    lost, held = await held_run(stage), await held_run(stage)
    async with kept(leases):
        losing, holding = Work(leases, stage, lost), Work(leases, stage, held)
        await stage.lease_clock.naps.nth(1)
        runs.away = True
        await stage.claim(lost, "another")
        await pass_time(stage.lease_clock, 20)
        assert (losing.cancellations, holding.cancellations) == (0, 0)
        assert [entry["event"] for entry in logged] == ["claims cannot be renewed"]
        runs.away = False
        await pass_time(stage.lease_clock, 1)
        with pytest.raises(ClaimLostError):
            await finished(losing.task)
        runs.away = True
        await pass_time(stage.lease_clock, 1)
        assert len(logged) == 2
        holding.done.set()
        await finished(holding.task)


async def test_claim_of_a_later_piece_of_work_is_not_taken_for_the_one_before(stage: RunStage) -> None:
    """An answer of the store about a claim that has been replaced since says nothing about the new one."""
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(Through):
        async def held_claims(self, tenant: str, tokens: dict[str, str]) -> frozenset[str]:
            held: frozenset[str] = await self.store.held_claims(tenant, tokens)
            asked.set()
            await answer.wait()
            return held

    leases = Leases(Slow(stage.store.runs), stage.lease_clock)
    run = await held_run(stage)
    async with kept(leases):
        first = Work(leases, stage, run)
        await stage.lease_clock.naps.nth(1)
        await stage.claim(run, "another")
        stage.lease_clock.advance(LOOK_S)
        await asked.wait()
        first.done.set()
        await finished(first.task)
        second = Work(leases, stage, await stage.claim(run, "next"), "next")
        await turns(2)
        answer.set()
        await stage.lease_clock.naps.nth(2)
        second.done.set()
        assert await finished(second.task) == "done"


async def test_tenant_whose_claims_cannot_be_reached_costs_no_other_tenant_theirs(stage: RunStage) -> None:
    """While the store is held up at one tenant's claims, those of others go on being looked for and renewed."""

    class HeldUp(Noted):
        async def held_claims(self, tenant: str, tokens: dict[str, str]) -> frozenset[str]:
            if tenant == "other":
                await asyncio.Event().wait()
            return await super().held_claims(tenant, tokens)

    noted = HeldUp(stage)
    leases = Leases(noted, stage.lease_clock)
    other = await open_project(stage.store, "other")
    theirs = await other.get(await other.accept())
    async with kept(leases):
        stuck = Work(leases, replace(stage, tenant=other.tenant), theirs)
        work = Work(leases, stage, await held_run(stage))
        await stage.lease_clock.naps.nth(1)
        await pass_time(stage.lease_clock, 3)
        for each in (stuck, work):
            each.done.set()
            await finished(each.task)
    assert [what for what, *_ in noted.asked] == ["look", "look", "renew"]
