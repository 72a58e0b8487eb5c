"""Which runs a process carries out, and when; over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from run_stage import AUTOMATION, BA, QA, BusyAgent, GatedAgent, RunStage, Through, finished, turns
from service_stage import BUSY, Service
from store_material import free, lapsed

from orchestrator import dispatch as dispatch_module
from orchestrator import runner as runner_module
from orchestrator.dispatch import SEEK_S, Dispatcher
from orchestrator.errors import ModelError, StoreError
from orchestrator.events import Fact, StepError
from orchestrator.pipeline import PipelineMode
from orchestrator.ports import AgentResult, Context, LanguageModel, Report
from orchestrator.records import Artifact, RunRecord, SavedEvent
from orchestrator.states import RunState


async def test_runs_beyond_the_limit_wait_as_queued(service: Service, stage: RunStage) -> None:
    """At most so many runs are carried out at once; the next begins when one ends, in the order of acceptance."""
    orchestrator = await service.open(max_runs_at_once=1)
    runs = [await service.start(orchestrator) for _ in range(3)]
    for number, run in enumerate(runs, start=1):
        call = await stage.call(BA, number)
        await turns(20)
        assert len(stage.agents[BA].calls) == number
        assert {(await service.get(waiting)).status for waiting in runs[number:]} <= {RunState.QUEUED}
        call.finish()
        assert (await service.ended(run)).status is RunState.COMPLETED


async def test_run_dispatched_twice_is_carried_out_once(stage: RunStage) -> None:
    """A run that this process works on already is not begun again; after the close nothing is begun."""
    run = await stage.accept(BA)
    dispatcher = Dispatcher(stage.store.runs, stage.runner(), max_runs_at_once=4, alone=True)
    for _ in range(3):
        dispatcher.dispatch(stage.tenant, run.id)
    await stage.call(BA)
    dispatcher.dispatch(stage.tenant, run.id)
    await turns(50)
    assert len(stage.agents[BA].calls) == 1
    await dispatcher.close()
    dispatcher.dispatch(stage.tenant, run.id)
    await turns(50)
    assert await free(stage.store, run)


async def test_alone_at_start_takes_every_unfinished_run(service: Service, stage: RunStage) -> None:
    """Who is the only one takes queued runs and those whose claims have not lapsed: their workers are gone."""
    queued, held = await stage.accept(BA), await stage.accept(BA)
    await stage.claim(held, "gone", lease_s=3600)
    await service.open(agents=BUSY)
    for run in (queued, held):
        assert (await service.ended(run)).status is RunState.COMPLETED


async def test_beside_others_at_start_takes_free_and_lapsed_runs_only(service: Service, stage: RunStage) -> None:
    """Where others work, what one of them claims is left to it."""
    queued, gone, held = [await stage.accept(BA) for _ in range(3)]
    await stage.claim(held, "other", lease_s=3600)
    await stage.claim(gone, "gone", lease_s=0.01)
    await lapsed(stage.store, gone)
    await service.open(agents=BUSY, alone=False)
    for run in (queued, gone):
        assert (await service.ended(run)).status is RunState.COMPLETED
    assert await stage.store.runs.held_claims(stage.tenant, {held.id: "other"}) == {held.id}


async def test_seek_takes_what_becomes_free(service: Service, stage: RunStage) -> None:
    """A run that is accepted elsewhere, or whose claim lapses later, is found while others work beside."""
    await service.open(agents=BUSY, alone=False)
    await stage.clock.naps.nth(1)
    accepted, gone = await stage.accept(BA), await stage.accept(BA)
    await stage.claim(gone, "gone", lease_s=0.01)
    await lapsed(stage.store, gone)
    stage.clock.advance(2 * SEEK_S)
    for run in (accepted, gone):
        assert (await service.ended(run)).status is RunState.COMPLETED


async def test_seek_without_room_leaves_runs_to_others(service: Service, stage: RunStage) -> None:
    """A process whose places are taken neither claims nor asks; when it has room again, it looks again."""

    class Counting(Through):
        looks = 0

        async def free_runs(self) -> Any:
            self.looks += 1
            return await self.store.free_runs()

    runs = Counting(stage.store.runs)
    await stage.accept(BA)
    await service.open(runs=runs, alone=False, max_runs_at_once=1)
    call = await stage.call(BA)
    waiting = await stage.accept(QA)
    for look in range(1, 4):
        assert await stage.clock.naps.nth(look) == pytest.approx(SEEK_S, rel=0.2)
        stage.clock.advance(2 * SEEK_S)
    await stage.clock.naps.nth(4)
    assert runs.looks == 1
    assert await free(stage.store, waiting)
    call.finish()
    async with asyncio.timeout(30):
        while not stage.agents[QA].calls:
            stage.clock.advance(SEEK_S)
            await asyncio.sleep(0)
    (await stage.call(QA)).finish()
    assert (await service.ended(waiting)).status is RunState.COMPLETED


async def test_run_of_a_lost_worker_goes_before_those_that_nobody_began(service: Service, stage: RunStage) -> None:
    """A process takes no more than it has room for; what lapses meanwhile is older than what waits, and next."""
    lost, *waiting = [await stage.accept(BA) for _ in range(4)]
    await stage.claim(lost, "lost", lease_s=0.3)
    await service.open(alone=False, max_runs_at_once=1)
    first = await stage.call(BA)
    assert [await free(stage.store, run) for run in waiting] == [False, True, True]
    await lapsed(stage.store, lost)
    first.finish()
    (await stage.call(BA, 2)).finish()
    assert (await service.ended(lost)).status is RunState.COMPLETED
    await stage.call(BA, 3)


async def test_processes_side_by_side_carry_each_run_out_once(service: Service, stage: RunStage) -> None:
    """Three that look for work on one store: every run has one worker, and no claim is taken from another."""
    runs = [await stage.accept(BA, QA) for _ in range(12)]
    for _ in range(3):
        await service.open(agents=BUSY, alone=False)
    for run in runs:
        await stage.publisher.until(lambda line, run=run: line.payload.get("run_id") == run.id)
        record = await service.get(run)
        assert (record.status, record.takeovers) == (RunState.COMPLETED, 0)
        assert [step.attempt for step in record.steps] == [1, 1]


async def test_second_that_believes_itself_alone_takes_all_from_the_first(service: Service, stage: RunStage) -> None:
    """A process that lost its runs without knowing writes nothing more; the log has no gap and one end."""
    run = await service.start(await service.open())
    first = await stage.call(BA)
    await service.open()
    second = await stage.call(BA, 2)
    first.finish("# of the first\n")
    await turns(50)
    second.finish("# of the second\n")
    assert (await service.ended(run)).status is RunState.COMPLETED
    await stage.check(run)
    (left,) = await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id, with_content=True)
    assert left.content == "# of the second\n"


async def test_close_hands_runs_back_for_others_to_finish(service: Service, stage: RunStage) -> None:
    """What was under way and what waited is free at once, and to take it up then is no take-over."""
    async with service.at_work(max_runs_at_once=1) as orchestrator:
        under_way = await service.start(orchestrator, BA, QA)
        waiting = await service.start(orchestrator, AUTOMATION)
        (await stage.call(BA)).finish("# kept\n")
        await stage.call(QA)
    assert await stage.store.runs.free_runs() == tuple((stage.tenant, run.id) for run in (under_way, waiting))
    published = len(stage.publisher.events)
    await turns(50)
    assert len(stage.publisher.events) == published

    await service.open(agents=stage.agents | {AUTOMATION: BusyAgent(AUTOMATION)}, alone=False)
    call = await stage.call(QA, 2)
    assert (await service.get(under_way)).takeovers == 0
    assert [artifact.content for artifact in call.context.earlier] == ["# kept\n"]
    call.finish()
    for run in (under_way, waiting):
        assert (await service.ended(run)).status is RunState.COMPLETED
    assert len(stage.agents[BA].calls) == 1


async def test_close_while_runs_are_being_claimed_hands_them_back(stage: RunStage) -> None:
    """A claim that is made just when its worker is told to stop is given back like any other."""
    claiming, release = asyncio.Event(), asyncio.Event()

    class Slow(Through):
        async def claim_run(self, *args: Any, **options: Any) -> RunRecord | None:
            claimed: RunRecord | None = await self.store.claim_run(*args, **options)
            claiming.set()
            await release.wait()
            return claimed

    run = await stage.accept(BA)
    runs = Slow(stage.store.runs)
    dispatcher = Dispatcher(runs, stage.runner(runs=runs), max_runs_at_once=1, alone=True)
    dispatcher.dispatch(stage.tenant, run.id)
    await claiming.wait()
    closing = asyncio.create_task(dispatcher.close())
    await turns(10)
    assert not await free(stage.store, run)
    release.set()
    await finished(closing)
    assert await free(stage.store, run)
    assert not stage.agents[BA].calls


async def test_close_with_a_save_that_hangs_is_bounded(
    service: Service, stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that neither answers nor fails holds nobody up: the claim is not given back, and lapses."""
    monkeypatch.setattr(runner_module, "HAND_BACK_S", 0.05)
    release = asyncio.Event()
    saving = asyncio.Event()

    class Hanging(Through):
        async def save(self, *args: Any, **options: Any) -> Any:
            saving.set()
            await release.wait()
            return await self.store.save(*args, **options)

    async with asyncio.timeout(30), service.at_work(runs=Hanging(stage.store.runs)) as orchestrator:
        run = await service.start(orchestrator)
        await saving.wait()
    assert not await free(stage.store, run)
    release.set()
    await stage.publisher.until_running(0)


async def test_close_while_steps_side_by_side_end_by_an_error_begins_nothing_again(stage: RunStage) -> None:
    """A group of tasks that ends by an error swallows a cancellation that came meanwhile; the run is left anyway."""
    leaving, may_leave = asyncio.Event(), asyncio.Event()

    class Leaving(GatedAgent):
        async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
            try:
                return await super().work(tenant, context, model, report)
            finally:
                leaving.set()
                await may_leave.wait()

    class Refusing(Through):
        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            if isinstance(facts[0], StepError):
                raise StoreError("locked")
            return await super().save(tenant, run_id, token, facts, artifacts)

    run = await stage.accept(BA, QA, mode=PipelineMode.PARALLEL)
    stage.agents[QA] = Leaving(QA)
    runner = stage.runner(runs=Refusing(stage.store.runs), delays_s=())
    dispatcher = Dispatcher(stage.store.runs, runner, max_runs_at_once=4, alone=True)
    dispatcher.dispatch(stage.tenant, run.id)
    await stage.call(QA)
    (await stage.call(BA)).fail(ModelError("no answer"))
    await leaving.wait()
    closing = asyncio.ensure_future(dispatcher.close())
    await turns(5)
    may_leave.set()
    await finished(closing)
    assert stage.clock.naps == []


async def test_close_leaves_an_agent_that_does_not_stop(stage: RunStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes goes on after a while, whatever a run is still waiting for."""
    monkeypatch.setattr(dispatch_module, "CLOSE_S", 0.05)
    may_leave = asyncio.Event()

    class Staying(GatedAgent):
        async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
            try:
                return await super().work(tenant, context, model, report)
            finally:
                await may_leave.wait()

    stage.agents[BA] = Staying(BA)
    run = await stage.accept(BA)
    dispatcher = Dispatcher(stage.store.runs, stage.runner(), max_runs_at_once=4, alone=True)
    dispatcher.dispatch(stage.tenant, run.id)
    await stage.call(BA)
    await finished(asyncio.ensure_future(dispatcher.close()))
    assert not await free(stage.store, run)
    may_leave.set()
    await finished(asyncio.ensure_future(dispatcher.close()))
    assert await free(stage.store, run)
