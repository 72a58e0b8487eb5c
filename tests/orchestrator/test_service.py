"""Accepting runs, owning the tasks that carry them out, stopping and carrying on; over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any
from uuid import uuid4

import pytest
from run_stage import AUTOMATION, BA, QA, BusyAgent, RunStage, Through, finished, turns
from store_material import open_project

from orchestrator.budget import TokenBudget
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
from orchestrator.pipeline import AGENT_TYPES
from orchestrator.records import Accepted, NewRun, Quota, RunRecord
from orchestrator.service import STORE_RETRY_S, Orchestrator
from orchestrator.states import RunState

BUSY = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}


class Service:
    """Orchestrators over the stage, closed at the end of the test."""

    def __init__(self, stage: RunStage) -> None:
        self.stage = stage
        self.budget = TokenBudget(100, stage.clock)
        self._opened: list[Orchestrator] = []

    def open(self, *, runs: Any = None, max_runs_at_once: int = 4, **parts: Any) -> Orchestrator:
        """An orchestrator with the stage's agents, or with the parts given."""
        orchestrator = Orchestrator(
            runs or self.stage.store.runs,
            self.stage.store.documents,
            self.stage.publisher,
            self.stage.runner(runs=runs, **parts),
            self.budget,
            max_runs_at_once=max_runs_at_once,
        )
        self._opened.append(orchestrator)
        return orchestrator

    async def start(self, orchestrator: Orchestrator, *agents: str, **asked: Any) -> RunRecord:
        """A run of these agents, or of one."""
        options: dict[str, Any] = {
            "agents_selected": agents or (BA,),
            "pipeline_mode": "sequential",
            "run_id": None,
            "started_by": "u1",
            "project_id": self.stage.project_id,
        }
        tenant = asked.pop("tenant", self.stage.tenant)
        return await orchestrator.start_run(tenant, **options | asked)

    async def ended(self, run: RunRecord) -> RunRecord:
        """The run, once its terminal event is published."""
        await self.stage.publisher.until(lambda line: line.payload.get("run_id") == run.id)
        record = await self.stage.store.runs.get_run(self.stage.tenant, run.id)
        assert record is not None
        return record

    async def close(self) -> None:
        """Close all of them."""
        for orchestrator in self._opened:
            await orchestrator.close()


@pytest.fixture
async def service(stage: RunStage) -> AsyncIterator[Service]:
    """What opens orchestrators."""
    service = Service(stage)
    yield service
    await service.close()


async def test_start_run_returns_the_queued_run_and_begins_it(service: Service, stage: RunStage) -> None:
    """The answer is the run as accepted; it is carried to its end, and viewers are told everything from id 1."""
    run = await service.start(service.open(agents=BUSY), QA, BA)
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
        await service.start(service.open(), **asked)
    assert refused.value.code == code
    assert await stage.store.runs.unfinished_runs() == ()
    assert stage.publisher.events == []


async def test_start_run_without_documents_is_refused(service: Service, stage: RunStage) -> None:
    """A project that has no documents cannot be worked on until one is added."""
    project = await open_project(stage.store, slug="empty")
    orchestrator = service.open()
    with pytest.raises(NoDocumentsError):
        await service.start(orchestrator, project_id=project.id)
    await stage.store.documents.add_documents(stage.tenant, project.id, [("a.md", "text")])
    assert (await service.start(orchestrator, project_id=project.id)).project_id == project.id


async def test_start_run_with_budget_used_up_is_refused(service: Service, stage: RunStage) -> None:
    """A tenant without tokens starts nothing until the month is over."""
    service.budget.spend(stage.tenant, 100)
    orchestrator = service.open()
    with pytest.raises(BudgetExceededError):
        await service.start(orchestrator)
    stage.clock.advance(3600 * 24 * 2)
    assert (await service.start(orchestrator)).status is RunState.QUEUED


async def test_start_run_again_with_its_id_starts_nothing(service: Service, stage: RunStage) -> None:
    """The same request with the same id answers with the same run, also when it has ended, and publishes nothing."""

    class Counting(Through):
        claims = 0

        async def claim_run(self, tenant: str, run_id: str, token: str) -> RunRecord | None:
            self.claims += 1
            return await self.store.claim_run(tenant, run_id, token)

    runs = Counting(stage.store.runs)
    orchestrator = service.open(runs=runs)
    run_id = str(uuid4())
    first = await service.start(orchestrator, run_id=run_id)
    again = await service.start(orchestrator, run_id=run_id)
    assert first.id == again.id == run_id
    assert [step.id for step in first.steps] == [step.id for step in again.steps]
    (await stage.call(BA)).finish()
    await service.ended(first)
    before = list(stage.publisher.events)
    assert (await service.start(orchestrator, run_id=run_id)).status is RunState.COMPLETED
    assert stage.publisher.events == before
    await orchestrator.close()
    assert runs.claims == 1
    await stage.check(first)


async def test_start_run_at_once_with_one_id_starts_one(service: Service, stage: RunStage) -> None:
    """Of equal requests that cross each other one starts the run and all get it."""
    orchestrator = service.open(agents=BUSY)
    run_id = str(uuid4())
    runs = await asyncio.gather(*(service.start(orchestrator, run_id=run_id) for _ in range(5)))
    assert {run.id for run in runs} == {run_id}
    assert (await service.ended(runs[0])).status is RunState.COMPLETED
    await stage.check(runs[0])


@pytest.mark.parametrize("changed", [{"agents_selected": [QA]}, {"pipeline_mode": "parallel"}])
async def test_start_run_with_the_id_of_another_is_a_conflict(service: Service, changed: dict[str, Any]) -> None:
    """An id that stands for a run with another body is refused."""
    orchestrator = service.open()
    run = await service.start(orchestrator)
    with pytest.raises(RunIdConflictError):
        await service.start(orchestrator, run_id=run.id, **changed)


async def test_runs_beyond_the_limit_wait_as_queued(service: Service, stage: RunStage) -> None:
    """At most so many runs are carried out at once; the next begins when one ends, in the order of acceptance."""
    orchestrator = service.open(max_runs_at_once=1)
    runs = [await service.start(orchestrator) for _ in range(3)]
    for number, run in enumerate(runs, start=1):
        call = await stage.call(BA, number)
        await turns(20)
        assert len(stage.agents[BA].calls) == number
        states = [await stage.store.runs.get_run(stage.tenant, waiting.id) for waiting in runs[number:]]
        assert all(state is not None and state.status is RunState.QUEUED for state in states)
        call.finish()
        assert (await service.ended(run)).status is RunState.COMPLETED


async def test_accepted_run_goes_on_when_the_caller_is_cancelled(service: Service, stage: RunStage) -> None:
    """A caller that leaves while its run is being accepted takes nothing with it."""
    accepting, release = asyncio.Event(), asyncio.Event()

    class Slow(Through):
        async def accept_run(self, tenant: str, run: NewRun, quota: Quota) -> Accepted:
            accepted: Accepted = await self.store.accept_run(tenant, run, quota)
            accepting.set()
            await release.wait()
            return accepted

    run_id = str(uuid4())
    caller = asyncio.create_task(service.start(service.open(runs=Slow(stage.store.runs), agents=BUSY), run_id=run_id))
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
    run = await service.start(service.open(agents=BUSY))
    assert (await service.ended(run)).status is RunState.COMPLETED
    assert {entry["event"] for entry in logged} == {"events are saved and could not be published"}


async def test_close_leaves_runs_that_resume_finishes(service: Service, stage: RunStage) -> None:
    """Closing stops work under way and work that waits; another orchestrator carries all of it to its end."""
    orchestrator = service.open(max_runs_at_once=1)
    under_way = await service.start(orchestrator, BA, QA)
    waiting = await service.start(orchestrator, AUTOMATION)
    (await stage.call(BA)).finish("# kept\n")
    await stage.call(QA)
    await orchestrator.close()
    published = len(stage.publisher.events)
    await turns(50)
    assert len(stage.publisher.events) == published

    second = service.open(agents=stage.agents | {AUTOMATION: BusyAgent(AUTOMATION)})
    assert await second.resume() == 2
    call = await stage.call(QA, 2)
    assert [artifact.content for artifact in call.context.earlier] == ["# kept\n"]
    call.finish()
    for run in (under_way, waiting):
        assert (await service.ended(run)).status is RunState.COMPLETED
    assert await second.resume() == 0
    assert len(stage.agents[BA].calls) == 1


async def test_resume_takes_over_what_it_runs_itself_without_harm(service: Service, stage: RunStage) -> None:
    """A second taking over of the same run leaves one writer; the log has no gap and one end."""
    orchestrator = service.open()
    run = await service.start(orchestrator)
    await stage.call(BA)
    assert await orchestrator.resume() == 1
    second = await stage.call(BA, 2)
    stage.agents[BA].calls[0].finish()
    second.finish()
    assert (await service.ended(run)).status is RunState.COMPLETED
    await stage.check(run)


async def test_close_without_work_returns(service: Service) -> None:
    """An orchestrator that has nothing to do can be closed, more than once."""
    orchestrator = service.open()
    await orchestrator.close()
    await orchestrator.close()


async def test_run_whose_end_cannot_be_saved_frees_its_place(
    service: Service, stage: RunStage, logged: list[MutableMapping[str, Any]]
) -> None:
    """A run that has to be left as it is does not keep the next from being carried out."""

    class BrokenFor(Through):
        broken = ""

        async def save(self, tenant: str, run_id: str, *args: Any) -> Any:
            if run_id == self.broken:
                raise StoreError("disk full")
            return await self.store.save(tenant, run_id, *args)

    runs = BrokenFor(stage.store.runs)
    runs.broken = str(uuid4())
    orchestrator = service.open(runs=runs, agents=BUSY, max_runs_at_once=1)
    left = await service.start(orchestrator, run_id=runs.broken)
    run = await service.start(orchestrator)
    assert (await service.ended(run)).status is RunState.COMPLETED
    assert "run not finished, trying again" in {entry["event"] for entry in logged}
    runs.broken = ""
    stage.clock.advance(STORE_RETRY_S[0])
    assert (await service.ended(left)).status is RunState.COMPLETED


async def test_runs_outlast_a_store_that_answers_nobody_for_long(service: Service, stage: RunStage) -> None:
    """However long the store is away, runs under way and runs that wait for a place go on when it is back."""

    class Away(Through):
        away = True

        async def claim_run(self, *args: Any) -> Any:
            return await self._ask(self.store.claim_run, *args)

        async def ping(self) -> None:
            await self._ask(self.store.ping)

        async def _ask(self, question: Any, *args: Any) -> Any:
            if self.away:
                raise StoreError("connection refused")
            return await question(*args)

    runs = Away(stage.store.runs)
    orchestrator = service.open(runs=runs, agents=BUSY, max_runs_at_once=1)
    waiting = [await service.start(orchestrator) for _ in range(3)]
    outage = 3 * len(STORE_RETRY_S)
    for check in range(1, outage + 1):
        await stage.clock.naps.nth(check * len(waiting))
        runs.away = check < outage
        stage.clock.advance(max(STORE_RETRY_S))
    for run in waiting:
        assert (await service.ended(run)).status is RunState.COMPLETED


async def test_run_that_the_store_fails_for_long_is_given_up_when_it_answers(
    service: Service, stage: RunStage
) -> None:
    """A run that could not be carried on for minutes gets its terminal event, INTERRUPTED, once that can be saved."""

    class Broken(Through):
        broken = True

        async def save(self, *args: Any) -> Any:
            if self.broken:
                raise StoreError("disk full")
            return await self.store.save(*args)

    runs = Broken(stage.store.runs)
    run = await service.start(service.open(runs=runs, agents=BUSY))
    for number, delay_s in enumerate(STORE_RETRY_S, start=1):
        assert await stage.clock.naps.nth(number) == delay_s
        runs.broken = number < len(STORE_RETRY_S)
        stage.clock.advance(delay_s)
    record = await service.ended(run)
    assert (record.status, record.error_code) == (RunState.FAILED, "INTERRUPTED")
