"""A run whose store fails now and then: nothing is lost, and nothing is done twice; over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from run_stage import BA, QA, BusyAgent, RunStage, Through, finished, turns

from orchestrator.errors import ModelError, StoreError
from orchestrator.events import Fact, RunEnded, StepError, StepRunning
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.records import Artifact, SavedEvent
from orchestrator.states import RunState, StepState

PARALLEL = PipelineMode.PARALLEL
MODES = pytest.mark.parametrize("mode", list(PipelineMode))


@MODES
@pytest.mark.parametrize("fact", [StepRunning, RunEnded])
async def test_run_that_the_store_failed_once_is_taken_up_again(
    stage: RunStage, fact: type[Fact], mode: PipelineMode
) -> None:
    """Whatever cannot be saved once, the run is left as its log says, and the next worker completes it."""

    class FailsOnce(Through):
        failed = False

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            if isinstance(facts[0], fact) and not self.failed:
                self.failed = True
                raise StoreError("locked")
            return await super().save(tenant, run_id, token, facts, artifacts)

    run = await stage.accept(BA, QA, mode=mode)
    agents = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}
    runner = stage.runner(runs=FailsOnce(stage.store.runs), agents=agents)
    with pytest.raises(StoreError):
        await finished(stage.work(run, runner))
    assert (await stage.check(run)).completed_at is None
    await finished(stage.work(run, runner))
    assert (await stage.check(run)).status is RunState.COMPLETED


async def test_parallel_store_failure_beside_a_save_under_way_loses_nothing(stage: RunStage) -> None:
    """A step that completes while the store fails another stays complete, and the next worker ends the run."""
    both = asyncio.Event()

    class Collision(Through):
        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            if isinstance(facts[0], StepError) and not both.is_set():
                await both.wait()
                raise StoreError("locked")
            return await super().save(tenant, run_id, token, facts, artifacts)

    run = await stage.accept(BA, QA, mode=PARALLEL)
    runner = stage.runner(runs=Collision(stage.store.runs), delays_s=())
    worker = stage.work(run, runner)
    failing, completing = await stage.call(BA), await stage.call(QA)
    failing.fail(ModelError("no answer"))
    await turns(20)
    completing.finish()
    await turns(20)
    both.set()
    with pytest.raises(StoreError):
        await finished(worker)
    again = stage.work(run, runner)
    (await stage.call(BA, 2)).fail(ModelError("no answer"))
    await finished(again)
    record = await stage.check(run)
    assert [step.status for step in record.steps] == [StepState.FAILED, StepState.COMPLETED]
    assert (record.status, record.error_code) == (RunState.FAILED, "STEP_FAILED")


async def test_outcome_unknown_for_a_while_never_ends_a_run_twice(stage: RunStage) -> None:
    """Where neither a commit nor the read after it answers, the log is read before anything else is done."""

    class Flaky(Through):
        blind = 0

        async def save(
            self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
        ) -> tuple[SavedEvent, ...]:
            saved = await super().save(tenant, run_id, token, facts, artifacts)
            if isinstance(facts[0], RunEnded) and self.blind == 0:
                self.blind = 1
                raise StoreError("connection lost")
            return saved

        async def settled_events(self, tenant: str, run_id: str, after: int, limit: int) -> tuple[SavedEvent, ...]:
            if self.blind == 1:
                self.blind = 2
                raise StoreError("connection refused")
            return await self.store.settled_events(tenant, run_id, after, limit)

    run = await stage.accept(BA, QA)
    agents = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}
    runner = stage.runner(runs=Flaky(stage.store.runs), agents=agents)
    with pytest.raises(StoreError):
        await finished(stage.work(run, runner))
    await stage.check(run)
    await finished(stage.work(run, runner))
    record = await stage.check(run)
    assert [step.attempt for step in record.steps] == [1, 1]
    assert record.status is RunState.COMPLETED


async def test_store_that_fails_for_good_leaves_the_run_to_the_next_worker(stage: RunStage) -> None:
    """When not even the end can be saved, the caller is told, nothing was changed, and another worker goes on."""

    class Broken(Through):
        async def save(self, *args: Any, **options: Any) -> tuple[SavedEvent, ...]:
            raise StoreError("disk full")

    run = await stage.accept(BA)
    with pytest.raises(StoreError, match="disk full"):
        await finished(stage.work(run, stage.runner(runs=Broken(stage.store.runs))))
    assert (await stage.check(run)).status is RunState.QUEUED
    await finished(stage.work(run, stage.runner(agents={BA: BusyAgent(BA)})))
    assert (await stage.check(run)).status is RunState.COMPLETED
