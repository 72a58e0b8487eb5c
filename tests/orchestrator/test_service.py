"""Accepting runs, over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any
from uuid import uuid4

import pytest
from run_stage import BA, QA, RunStage, Through, finished
from service_stage import BUSY, Service
from store_material import open_project

from orchestrator.errors import (
    BudgetExceededError,
    DuplicateAgentError,
    InvalidAgentTypeError,
    InvalidPipelineModeError,
    NoAgentsSelectedError,
    NoDocumentsError,
    OrchestratorError,
    RunIdConflictError,
    StoreError,
)
from orchestrator.records import NewRun, Quota, Written
from orchestrator.states import RunState


async def test_start_run_returns_the_queued_run_and_begins_it(service: Service, stage: RunStage) -> None:
    """The answer is the run as accepted; it is carried to its end, and viewers are told everything from id 1."""
    run = await service.start(await service.open(agents=BUSY), QA, BA)
    assert (run.status, run.last_event_id, run.agents_selected) == (RunState.QUEUED, 2, (QA, BA))
    assert run.started_by == "u1"
    assert (await service.ended(run)).status is RunState.COMPLETED
    await stage.check(run)


@pytest.mark.parametrize(
    ("asked", "error", "code"),
    [
        ({"agents_selected": []}, NoAgentsSelectedError, "NO_AGENTS_SELECTED"),
        ({"agents_selected": [BA, "nobody"]}, InvalidAgentTypeError, "INVALID_AGENT_TYPE"),
        ({"agents_selected": [BA, QA, BA]}, DuplicateAgentError, "DUPLICATE_AGENT"),
        ({"pipeline_mode": "backwards"}, InvalidPipelineModeError, "INVALID_PIPELINE_MODE"),
        ({"project_id": str(uuid4())}, NoDocumentsError, "NO_DOCUMENTS"),
        ({"tenant": "nobody"}, NoDocumentsError, "NO_DOCUMENTS"),
    ],
)
async def test_start_run_that_cannot_be_is_refused(
    service: Service, stage: RunStage, asked: dict[str, Any], error: type[OrchestratorError], code: str
) -> None:
    """A request that cannot be done raises its error, starts nothing and tells nobody."""
    with pytest.raises(error) as refused:
        await service.start(await service.open(), **asked)
    assert refused.value.code == code
    assert await stage.store.runs.unfinished_runs() == ()
    assert stage.publisher.events == []


async def test_start_run_without_documents_is_refused(service: Service, stage: RunStage) -> None:
    """A project that has no documents cannot be worked on until one is added."""
    project = await open_project(stage.store, slug="empty")
    orchestrator = await service.open()
    with pytest.raises(NoDocumentsError):
        await service.start(orchestrator, project_id=project.id)
    await stage.store.documents.add_documents(stage.tenant, project.id, [("a.md", "text")])
    assert (await service.start(orchestrator, project_id=project.id)).project_id == project.id


async def test_start_run_with_budget_used_up_is_refused(service: Service, stage: RunStage) -> None:
    """A tenant with one token left may start a run, and one without starts nothing."""
    orchestrator = await service.open()
    await stage.spend(99)
    assert (await service.start(orchestrator)).status is RunState.QUEUED
    await stage.spend(1)
    with pytest.raises(BudgetExceededError):
        await service.start(orchestrator)
    assert service.spending.refusals == 1


async def test_start_run_again_with_its_id_starts_nothing(service: Service, stage: RunStage) -> None:
    """The same request with the same id answers with the same run, also when it has ended, and publishes nothing."""

    class Counting(Through):
        claims = 0

        async def claim_run(self, *args: Any, **options: Any) -> Any:
            self.claims += 1
            return await self.store.claim_run(*args, **options)

    runs = Counting(stage.store.runs)
    run_id = str(uuid4())
    async with service.at_work(runs=runs) as orchestrator:
        first = await service.start(orchestrator, run_id=run_id)
        again = await service.start(orchestrator, run_id=run_id)
        assert first.id == again.id == run_id
        assert [step.id for step in first.steps] == [step.id for step in again.steps]
        (await stage.call(BA)).finish()
        await service.ended(first)
        before = list(stage.publisher.events)
        assert (await service.start(orchestrator, run_id=run_id)).status is RunState.COMPLETED
        assert stage.publisher.events == before
    assert runs.claims == 1
    await stage.check(first)


async def test_start_run_at_once_with_one_id_starts_one(service: Service, stage: RunStage) -> None:
    """Of equal requests that cross each other one starts the run and all get it."""
    orchestrator = await service.open(agents=BUSY)
    run_id = str(uuid4())
    runs = await asyncio.gather(*(service.start(orchestrator, run_id=run_id) for _ in range(5)))
    assert {run.id for run in runs} == {run_id}
    assert (await service.ended(runs[0])).status is RunState.COMPLETED
    await stage.check(runs[0])


@pytest.mark.parametrize("changed", [{"agents_selected": [QA]}, {"pipeline_mode": "parallel"}, {"use_cache": False}])
async def test_start_run_with_the_id_of_another_is_a_conflict(service: Service, changed: dict[str, Any]) -> None:
    """An id that stands for a run with another body is refused."""
    orchestrator = await service.open()
    run = await service.start(orchestrator)
    with pytest.raises(RunIdConflictError):
        await service.start(orchestrator, run_id=run.id, **changed)


async def test_accepted_run_goes_on_when_the_caller_is_cancelled(service: Service, stage: RunStage) -> None:
    """A caller that leaves while its run is being accepted takes nothing with it."""
    accepting, release = asyncio.Event(), asyncio.Event()

    class Slow(Through):
        async def accept_run(self, tenant: str, run: NewRun, quota: Quota) -> Written:
            accepted: Written = await self.store.accept_run(tenant, run, quota)
            accepting.set()
            await release.wait()
            return accepted

    run_id = str(uuid4())
    caller = asyncio.create_task(
        service.start(await service.open(runs=Slow(stage.store.runs), agents=BUSY), run_id=run_id)
    )
    await accepting.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finished(caller)
    release.set()
    await stage.publisher.until(lambda line: line.payload.get("run_id") == run_id)
    record = await stage.store.runs.get_run(stage.tenant, run_id)
    assert record is not None
    assert record.status is RunState.COMPLETED
    await stage.check(record)


async def test_publisher_that_raises_does_not_keep_a_run_from_starting(
    service: Service, stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """Invariant 2: the caller gets its run and the run goes to its end though nobody can be told of it."""
    stage.publisher.error = RuntimeError("broken")
    run = await service.start(await service.open(agents=BUSY))
    assert (await service.ended(run)).status is RunState.COMPLETED
    assert {entry["event"] for entry in logged} == {"events are saved and could not be published"}


async def test_run_accepted_by_a_commit_that_seemed_to_fail_begins_when_asked_for_again(
    service: Service, stage: RunStage
) -> None:
    """Whoever was told of a failure asks again with the same id: the run is there, and nobody else would begin it."""

    class Lost(Through):
        async def accept_run(self, tenant: str, run: NewRun, quota: Quota) -> Written:
            accepted = await self.store.accept_run(tenant, run, quota)
            if accepted.events:
                raise StoreError("connection lost")
            return accepted

    orchestrator = await service.open(agents=BUSY, runs=Lost(stage.store.runs))
    run_id = str(uuid4())
    with pytest.raises(StoreError):
        await service.start(orchestrator, run_id=run_id)
    assert (await service.ended(await service.start(orchestrator, run_id=run_id))).status is RunState.COMPLETED
