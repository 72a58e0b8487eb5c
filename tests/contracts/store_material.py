"""Runs to put into a store, and the two ways to see one: its rows, and the fold of its log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import msgspec

from orchestrator.events import Fact, RunEnded, StepComplete, StepError, StepRunning
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.records import Artifact, NewRun, RunRecord, SavedEvent
from orchestrator.store import Store, claims
from orchestrator.store.accepting import accept
from orchestrator.store.base import Session
from realtime.events import Event
from realtime.snapshot import RunSnapshot, StepSnapshot, fold
from realtime.wiring.adapters import to_snapshot

TENANT = "demo"

Run = TypeVar("Run", RunRecord, RunSnapshot)


@dataclass(frozen=True)
class Project:
    """A project of a tenant in an open store."""

    store: Store
    id: str
    tenant: str = TENANT

    async def accept(self, agents: tuple[str, ...] = AGENT_TYPES, token: str | None = "mine") -> NewRun:
        """A new run, accepted, and claimed by ``token`` unless that is None."""
        run = new_run(self.id, agents)
        await self.store.runs.accept_run(self.tenant, run)
        if token is not None:
            await self.store.runs.claim_run(self.tenant, run.id, token)
        return run

    async def save(self, run: NewRun, *facts: Fact, token: str = "mine") -> tuple[SavedEvent, ...]:
        """Save facts of that run."""
        return await self.store.runs.save(self.tenant, run.id, token, facts)

    async def get(self, run: NewRun) -> RunRecord:
        """The rows."""
        record = await self.store.runs.get_run(self.tenant, run.id)
        assert record is not None
        return record


async def open_project(store: Store, tenant: str = TENANT, slug: str = "web") -> Project:
    """A project to work in; its tenant is made where missing."""
    await store.accounts.ensure_tenant(tenant)
    return Project(store, (await store.accounts.ensure_project(tenant, slug, slug.title())).id, tenant)


async def accept_claimed(store: Store, tenant: str, run: NewRun, token: str, lease_s: float = 3600) -> None:
    """Accept the run and claim it in one transaction: nobody who looks for work finds it in between."""

    async def work(session: Session) -> None:
        await accept(session, run)
        await claims.claim(session, run.id, token, lease_s, seize=False)

    await store._databases.write(tenant, work)


def new_run(project_id: str, agents: tuple[str, ...] = AGENT_TYPES, run_id: str | None = None) -> NewRun:
    """A run that nobody has accepted yet."""
    return NewRun(
        id=run_id or str(uuid4()),
        project_id=project_id,
        pipeline_mode=PipelineMode.SEQUENTIAL,
        agents_selected=agents,
        step_ids=tuple(str(uuid4()) for _ in agents),
        started_by="u1",
    )


def running(run: NewRun, step: int = 0, percent: int = 0, attempt: int = 1) -> StepRunning:
    """Progress of the run's step at that index."""
    return StepRunning(
        step_id=run.step_ids[step],
        agent_type=run.agents_selected[step],
        progress_pct=percent,
        progress_label=f"{percent} % é",
        attempt=attempt,
    )


def complete(run: NewRun, step: int = 0, tokens: int = 10) -> StepComplete:
    """Success of the run's step at that index."""
    return StepComplete(
        step_id=run.step_ids[step],
        agent_type=run.agents_selected[step],
        tokens_used=tokens,
        artifact_id=f"artifact-{step}",
        duration_ms=7,
    )


def failed(run: NewRun, step: int = 0, code: str = "STEP_FAILED") -> StepError:
    """Failure, or cancellation, of the run's step at that index."""
    return StepError(
        step_id=run.step_ids[step],
        agent_type=run.agents_selected[step],
        error_code=code,
        message="no answer",
    )


def done(run: NewRun) -> RunEnded:
    """Success of the run."""
    return RunEnded.success(run.id)


def artifact(run: NewRun, step: int = 0) -> Artifact:
    """Something that the run's step at that index left."""
    return Artifact(
        id=str(uuid4()),
        run_id=run.id,
        step_id=run.step_ids[step],
        agent_type=run.agents_selected[step],
        title="Matrix",
        artifact_type="coverage_matrix",
        content_type="text/markdown",
        content="# Matrix\n",
    )


def without_ages(run: Run) -> Run:
    """The run without what only says how long ago it was read: two readings of the same state are equal."""
    steps = tuple(msgspec.structs.replace(step, progress_age_s=None) for step in run.steps)
    return msgspec.structs.replace(run, steps=steps, heartbeat_age_s=None)


def as_snapshot(record: RunRecord) -> RunSnapshot:
    """The rows, in the words of delivery, without ages and the time of reading."""
    return without_ages(msgspec.structs.replace(to_snapshot(record), server_time=""))


def fold_log(record: RunRecord, log: tuple[SavedEvent, ...]) -> RunSnapshot:
    """What the log alone makes of a run of which only the request is known; without ages."""
    state = RunSnapshot(
        id=record.id,
        project_id=record.project_id,
        status="queued",
        pipeline_mode=record.pipeline_mode.value,
        agents_selected=record.agents_selected,
        steps=tuple(
            StepSnapshot(id=step.id, agent_type=step.agent_type, position=step.position, status="queued")
            for step in record.steps
        ),
        last_event_id=0,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by=record.started_by,
        created_at=msgspec.json.decode(log[0].payload)["at"],
        started_at=None,
        completed_at=None,
        retry_of=record.retry_of,
        server_time="",
    )
    for event in log:
        state = fold(state, Event(record.id, event.id, event.type, event.payload))
    return without_ages(state)


async def check_run(store: Store, tenant: str, run_id: str) -> RunRecord:
    """The run, after asserting that its log is contiguous and its rows equal the fold of it."""
    record = await store.runs.get_run(tenant, run_id)
    assert record is not None
    log = await store.runs.read_events(tenant, run_id, 0, 100_000)
    assert [event.id for event in log] == list(range(1, record.last_event_id + 1))
    assert as_snapshot(record) == fold_log(record, log)
    return record


async def free(store: Store, run: RunRecord | NewRun) -> bool:
    """True where anybody may claim the run."""
    return run.id in {run_id for _, run_id in await store.runs.free_runs()}


async def lapsed(store: Store, run: RunRecord | NewRun) -> None:
    """Return when the run's claim has lapsed, by the store's clock."""
    async with asyncio.timeout(30):
        while not await free(store, run):
            await asyncio.sleep(0.002)
