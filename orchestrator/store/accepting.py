"""Accepting a run: its row, its steps and the first events of its log, inside a unit of work on a tenant's schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.errors import ProjectNotFoundError, RunIdConflictError
from orchestrator.events import Fact, StepComplete, StepQueued
from orchestrator.records import NewRun, RunRecord, Written
from orchestrator.states import RunState
from orchestrator.store.base import Session, Statement
from orchestrator.store.run_log import log_rows, number
from orchestrator.store.run_rows import changes, read_run

PROJECT = "SELECT 1 AS found FROM {tenant}.projects WHERE id = :project_id"

INSERT_RUN = """
    INSERT INTO {tenant}.agent_runs
        (id, project_id, status, pipeline_mode, agents_selected, last_event_id, started_by, retry_of, use_cache,
         created_at)
    VALUES (:id, :project_id, 'queued', :pipeline_mode, :agents_selected, :last_event_id, :started_by, :retry_of,
        :use_cache, {now})
    ON CONFLICT (id) DO NOTHING RETURNING created_at
"""

INSERT_STEP = """
    INSERT INTO {tenant}.agent_run_steps (run_id, id, agent_type, position, status)
    VALUES (:run_id, :id, :agent_type, :position, 'queued')
"""


async def accept(session: Session, run: NewRun) -> Written:
    """Insert the run with its log, or find that an equal one is there.

    Raises:
        ProjectNotFoundError: the tenant has no such project.
        RunIdConflictError: the id is taken by a run that is not equal.
        ValueError: there are not as many step ids as agents.

    """
    plan = _plan(run)
    facts = [*plan, *_reuses(run, plan)]
    if await session.fetch_one(PROJECT, project_id=run.project_id) is None:
        raise ProjectNotFoundError(f"The tenant has no project {run.project_id!r}.")
    inserted = await session.fetch_one(
        INSERT_RUN,
        id=run.id,
        project_id=run.project_id,
        pipeline_mode=run.pipeline_mode,
        agents_selected=msgspec.json.encode(run.agents_selected).decode(),
        last_event_id=len(facts),
        started_by=run.started_by,
        retry_of=run.retry_of,
        use_cache=int(run.use_cache),
    )
    if inserted is None:
        return Written(_same_run(run, await _present(session, run.id)), ())
    at = inserted["created_at"]
    events = number(facts, 1, at)
    changed = changes(run.id, facts, RunState.QUEUED, at)
    await session.execute_all([*_step_rows(run.id, plan), *log_rows(run.id, events), *changed])
    return Written(await _present(session, run.id), events)


def _plan(run: NewRun) -> list[StepQueued]:
    steps = list(zip(run.step_ids, run.agents_selected, strict=True))
    return [
        StepQueued(step_id=step_id, agent_type=agent_type, position=position, total_steps=len(steps))
        for position, (step_id, agent_type) in enumerate(steps, start=1)
    ]


def _reuses(run: NewRun, plan: Sequence[StepQueued]) -> Iterator[Fact]:
    for step in plan:
        artifact_id = run.reused.get(step.agent_type)
        if artifact_id is not None:
            yield StepComplete(
                step_id=step.step_id,
                agent_type=step.agent_type,
                tokens_used=0,
                artifact_id=artifact_id,
                duration_ms=0,
                reused=True,
            )


def _same_run(asked: NewRun, kept: RunRecord) -> RunRecord:
    if (asked.project_id, asked.agents_selected, asked.pipeline_mode, asked.retry_of, asked.use_cache) != (
        kept.project_id,
        kept.agents_selected,
        kept.pipeline_mode,
        kept.retry_of,
        kept.use_cache,
    ):
        raise RunIdConflictError(
            f"Run id {asked.id!r} is taken by another run; expected a new id or an equal request."
        )
    return kept


async def _present(session: Session, run_id: str) -> RunRecord:
    run = await read_run(session, run_id)
    assert run is not None, "its row was inserted, or stood in the way of that"  # noqa: S101
    return run


def _step_rows(run_id: str, plan: Sequence[StepQueued]) -> Iterator[Statement]:
    for step in plan:
        yield Statement(
            INSERT_STEP,
            {"run_id": run_id, "id": step.step_id, "agent_type": step.agent_type, "position": step.position},
        )
