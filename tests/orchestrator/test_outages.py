"""What becomes of runs while the store fails, or is away; over the real store."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from run_stage import BA, RunStage, Through, turns
from service_stage import BUSY, Away, Service
from store_material import free, lapsed

from orchestrator.dispatch import OUTAGE_CHECK_S, SEEK_S
from orchestrator.lease import Leases
from orchestrator.ports import LEASE_S
from orchestrator.retry import STORE_RETRY_S
from orchestrator.states import RunState


async def test_run_whose_end_cannot_be_saved_frees_its_place(
    service: Service, stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """A run that has to be left as it is does not keep the next from being carried out."""
    left = await stage.accept(BA)

    class BrokenFor(Through):
        away = Away(stage.store.runs, away=True)

        async def save(self, tenant: str, run_id: str, *args: Any) -> Any:
            return await (self.away if run_id == left.id else self.store).save(tenant, run_id, *args)

    runs = BrokenFor(stage.store.runs)
    run = await service.start(await service.open(runs=runs, agents=BUSY, max_runs_at_once=1))
    assert (await service.ended(run)).status is RunState.COMPLETED
    assert "run not finished, trying again" in {entry["event"] for entry in logged}
    runs.away.away = False
    stage.clock.advance(STORE_RETRY_S[0])
    assert (await service.ended(left)).status is RunState.COMPLETED


async def test_runs_outlast_a_store_that_answers_nobody_for_long(service: Service, stage: RunStage) -> None:
    """However long the store is away, runs under way and runs that wait for a place go on when it is back."""
    runs = Away(stage.store.runs)
    waiting = [await stage.accept(BA) for _ in range(3)]
    async with service.at_work(runs=runs, agents=BUSY, max_runs_at_once=1):
        runs.away = True
        outage = 3 * len(STORE_RETRY_S)
        for check in range(1, outage + 1):
            await stage.clock.naps.nth(check * len(waiting))
            runs.away = check < outage
            stage.clock.advance(max(STORE_RETRY_S))
        for run in waiting:
            assert (await service.ended(run)).status is RunState.COMPLETED


class NoSaves(Through):
    """A store that keeps nothing while ``broken``."""

    broken = True

    async def save(self, *args: Any) -> Any:
        return await Away(self.store, away=self.broken).save(*args)


async def test_run_that_the_store_fails_for_long_is_given_up_when_it_answers(
    service: Service, stage: RunStage
) -> None:
    """A run that could not be carried on for minutes gets its terminal event, INTERRUPTED, once that can be saved."""
    runs = NoSaves(stage.store.runs)
    run = await service.start(await service.open(runs=runs, agents=BUSY))
    for number, delay_s in enumerate(STORE_RETRY_S, start=1):
        assert await stage.clock.naps.nth(number) == delay_s
        runs.broken = number < len(STORE_RETRY_S)
        stage.clock.advance(delay_s)
    record = await service.ended(run)
    assert (record.status, record.error_code) == (RunState.FAILED, "INTERRUPTED")
    assert record.error_message == "The run could not be kept."
    await stage.check(run)


async def test_run_that_another_has_taken_meanwhile_is_not_given_up(service: Service, stage: RunStage) -> None:
    """What this process could not save for minutes may go well elsewhere: then it is no longer its to end."""
    runs = NoSaves(stage.store.runs)
    run = await stage.accept(BA)
    async with service.at_work(runs=runs, agents=BUSY, alone=False):
        naps = stage.clock.naps
        for number, delay_s in enumerate(STORE_RETRY_S, start=1):
            await naps.until(lambda _, n=number: sum(nap in STORE_RETRY_S for nap in naps) == n)
            if number == len(STORE_RETRY_S):
                await stage.claim(run, "other")
            stage.clock.advance(delay_s)
        await turns(100)
    assert await stage.store.runs.held_claims(stage.tenant, {run.id: "other"}) == {run.id}
    assert (await stage.check(run)).status is RunState.QUEUED


async def test_seek_after_an_outage_gives_holders_time_to_renew(
    service: Service, stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """When the store is back, claims may have lapsed though their workers live: nothing is taken for a lease."""
    runs = Away(stage.store.runs)
    await service.open(runs=runs, agents=BUSY, alone=False)
    waiting = await stage.accept(BA)
    await stage.clock.naps.nth(1)
    runs.away = True
    stage.clock.advance(2 * SEEK_S)
    assert await stage.clock.naps.nth(2) == OUTAGE_CHECK_S
    assert [entry["event"] for entry in logged] == ["free runs cannot be looked for"]
    runs.away = False
    stage.clock.advance(OUTAGE_CHECK_S)
    assert await stage.clock.naps.nth(3) == LEASE_S
    stage.clock.advance(LEASE_S)
    await stage.clock.naps.nth(4)
    assert await free(stage.store, waiting)
    stage.clock.advance(2 * SEEK_S)
    assert (await service.ended(waiting)).status is RunState.COMPLETED


async def test_close_with_the_store_away_leaves_claims_to_lapse(service: Service, stage: RunStage) -> None:
    """What cannot be handed back is free when its lease is over."""
    runs = Away(stage.store.runs)
    leases = Leases(runs, stage.lease_clock, lease_s=0.2)
    async with service.at_work(runs=runs, leases=leases) as orchestrator:
        run = await service.start(orchestrator)
        await stage.call(BA)
        runs.away = True
    await lapsed(stage.store, run)


async def test_close_while_a_run_waits_for_the_store_hands_it_back(service: Service, stage: RunStage) -> None:
    """A run whose save was refused is under way, too: whoever claims it next does not take it over."""
    async with service.at_work(runs=NoSaves(stage.store.runs), agents=BUSY) as orchestrator:
        run = await service.start(orchestrator)
        assert await stage.clock.naps.nth(1) == STORE_RETRY_S[0]
    claimed = await stage.store.runs.claim_run(stage.tenant, run.id, "next")
    assert claimed is not None
    assert claimed.takeovers == 0
