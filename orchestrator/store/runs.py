"""Runs: their rows, their logs, and the artifacts that were saved with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.errors import (
    ClaimLostError,
    IllegalTransitionError,
    ProjectNotFoundError,
    RunIdConflictError,
    StoreError,
)
from orchestrator.events import Fact, RunEnded, StepQueued, StepRunning, encode_payload
from orchestrator.records import NO_QUOTA, Accepted, Artifact, NewRun, Quota, RunRecord, SavedEvent
from orchestrator.states import RunState
from orchestrator.store.artifacts import find_artifact, keep_artifacts, newest_artifacts
from orchestrator.store.base import Databases, Session, Statement, TenantNotFoundError, bounded, read_or, spread
from orchestrator.store.quotas import check_runs
from orchestrator.store.run_rows import changes, read_run, read_runs

LARGEST_PAGE = 500
"""Runs in one answer, and ids in one question."""

PING_S = 2.0

PROJECT = "SELECT 1 AS found FROM {tenant}.projects WHERE id = :project_id"

INSERT_RUN = """
    INSERT INTO {tenant}.agent_runs
        (id, project_id, status, pipeline_mode, agents_selected, last_event_id, started_by, created_at)
    VALUES (:id, :project_id, 'queued', :pipeline_mode, :agents_selected, :last_event_id, :started_by, {now})
    ON CONFLICT (id) DO NOTHING RETURNING created_at
"""

INSERT_STEP = """
    INSERT INTO {tenant}.agent_run_steps (run_id, id, agent_type, position, status)
    VALUES (:run_id, :id, :agent_type, :position, 'queued')
"""

INSERT_EVENT = """
    INSERT INTO {tenant}.agent_run_events (run_id, id, type, payload) VALUES (:run_id, :id, :type, :payload)
"""

CLAIM = """
    UPDATE {tenant}.agent_runs SET claim_token = :token WHERE id = :id AND ended_at IS NULL RETURNING id
"""

NUMBER = """
    UPDATE {tenant}.agent_runs SET last_event_id = last_event_id + :n
    WHERE id = :id AND claim_token = :token AND ended_at IS NULL
    RETURNING last_event_id, status, {now} AS at
"""

EVENTS = """
    SELECT id, type, payload FROM {tenant}.agent_run_events
    WHERE run_id = :run_id AND id > :after ORDER BY id LIMIT :limit
"""

HEADS = "SELECT id, last_event_id FROM {tenant}.agent_runs WHERE id IN ({ids})"

NEWEST = """
    SELECT id FROM {tenant}.agent_runs WHERE project_id = :project_id ORDER BY created_at DESC, id DESC LIMIT :limit
"""

OLDER = """
    SELECT id FROM {tenant}.agent_runs
    WHERE project_id = :project_id AND (created_at, id) < (
        SELECT created_at, id FROM {tenant}.agent_runs WHERE project_id = :project_id AND id = :before
    )
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""

TENANTS = "SELECT slug FROM public.tenants"

UNFINISHED = "SELECT created_at, id FROM {tenant}.agent_runs WHERE ended_at IS NULL"


class RunStore:
    """`orchestrator.ports.RunStore` on any of the databases. A tenant that does not exist has nothing."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def accept_run(self, tenant: str, run: NewRun, quota: Quota = NO_QUOTA) -> Accepted:
        """See `orchestrator.ports.RunStore.accept_run`. Of equal runs accepted at once, one gets the events.

        Raises:
            ValueError: there are not as many step ids as agents.

        """
        steps = list(zip(run.step_ids, run.agents_selected, strict=True))
        plan = [
            StepQueued(step_id=step_id, agent_type=agent_type, position=position, total_steps=len(steps))
            for position, (step_id, agent_type) in enumerate(steps, start=1)
        ]

        async def accept(session: Session) -> Accepted:
            if await session.fetch_one(PROJECT, project_id=run.project_id) is None:
                raise ProjectNotFoundError(f"Tenant {tenant!r} has no project {run.project_id!r}.")
            inserted = await session.fetch_one(
                INSERT_RUN,
                id=run.id,
                project_id=run.project_id,
                pipeline_mode=run.pipeline_mode,
                agents_selected=msgspec.json.encode(run.agents_selected).decode(),
                last_event_id=len(plan),
                started_by=run.started_by,
            )
            if inserted is None:
                return Accepted(_same_run(run, await _present(session, run.id)), ())
            events = _number(plan, 1, inserted["created_at"])
            await session.execute_all([*_plan_rows(run.id, plan), *_log_rows(run.id, events)])
            accepted = Accepted(await _present(session, run.id), events)
            await check_runs(session, run.started_by, quota)
            return accepted

        return await self._databases.write_in_turn(tenant, accept)

    async def claim_run(self, tenant: str, run_id: str, token: str) -> RunRecord | None:
        """See `orchestrator.ports.RunStore.claim_run`."""

        async def claim(session: Session) -> RunRecord | None:
            if await session.fetch_one(CLAIM, id=run_id, token=token) is None:
                return None
            return await read_run(session, run_id)

        try:
            return await self._databases.write(tenant, claim)
        except TenantNotFoundError:
            return None

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        """See `orchestrator.ports.RunStore.save`. Artifacts are kept as those of ``run_id``.

        Raises:
            IllegalTransitionError: a fact follows the end of the run. Nothing was changed.

        """
        if any(isinstance(fact, RunEnded) for fact in facts[:-1]):
            raise IllegalTransitionError(f"Run {run_id!r}: a fact follows the end; expected RunEnded to be the last.")

        async def save(session: Session) -> tuple[SavedEvent, ...]:
            row = await session.fetch_one(NUMBER, n=len(facts), id=run_id, token=token)
            if row is None:
                raise ClaimLostError(f"Run {run_id!r} has ended or is not claimed by this worker any more.")
            at = row["at"]
            events = _number(facts, row["last_event_id"] - len(facts) + 1, at)
            statements = [
                *_log_rows(run_id, events),
                *changes(run_id, facts, RunState(row["status"]), at),
                *keep_artifacts(run_id, artifacts, at),
            ]
            if len(statements) == 2 and isinstance(facts[0], StepRunning):  # progress, which is most of all saves
                await session.execute_apart(statements)
            else:
                await session.execute_all(statements)
            return events

        try:
            return await self._databases.write(tenant, save)
        except TenantNotFoundError:
            raise ClaimLostError(f"Run {run_id!r} does not exist: there is no tenant {tenant!r}.") from None

    async def read_events(self, tenant: str, run_id: str, after: int, limit: int = 500) -> tuple[SavedEvent, ...]:
        """See `orchestrator.ports.RunStore.read_events`."""

        async def read(session: Session) -> tuple[SavedEvent, ...]:
            rows = await session.fetch_all(EVENTS, run_id=run_id, after=bounded(after), limit=bounded(limit))
            return tuple(SavedEvent(row["id"], row["type"], row["payload"]) for row in rows)

        return await read_or(self._databases, tenant, read, ())

    async def heads(self, tenant: str, run_ids: Sequence[str]) -> dict[str, int]:
        """See `orchestrator.ports.RunStore.heads`."""

        async def read(session: Session) -> dict[str, int]:
            heads: dict[str, int] = {}
            for start in range(0, len(run_ids), LARGEST_PAGE):
                sql, ids = spread(HEADS, "ids", run_ids[start : start + LARGEST_PAGE])
                heads |= {row["id"]: row["last_event_id"] for row in await session.fetch_all(sql, **ids)}
            return heads

        return await read_or(self._databases, tenant, read, {})

    async def get_run(self, tenant: str, run_id: str) -> RunRecord | None:
        """See `orchestrator.ports.RunStore.get_run`."""
        return await read_or(self._databases, tenant, lambda session: read_run(session, run_id), None)

    async def list_runs(
        self, tenant: str, project_id: str, limit: int = 50, before: str | None = None
    ) -> tuple[RunRecord, ...]:
        """See `orchestrator.ports.RunStore.list_runs`. At most `LARGEST_PAGE`; nothing is before an unknown run.

        Runs accepted in the same millisecond stand in the order of their ids, so that no page repeats or omits one.
        """
        page = min(bounded(limit), LARGEST_PAGE)

        async def read(session: Session) -> tuple[RunRecord, ...]:
            if before is None:
                rows = await session.fetch_all(NEWEST, project_id=project_id, limit=page)
            else:
                rows = await session.fetch_all(OLDER, project_id=project_id, before=before, limit=page)
            return await read_runs(session, [row["id"] for row in rows])

        return await read_or(self._databases, tenant, read, ())

    async def unfinished_runs(self) -> tuple[tuple[str, str], ...]:
        """See `orchestrator.ports.RunStore.unfinished_runs`."""
        tenants = await self._databases.read_shared(lambda session: session.fetch_all(TENANTS))
        found: list[tuple[str, str, str]] = []
        for tenant in (str(row["slug"]) for row in tenants):
            rows = await self._databases.read(tenant, lambda session: session.fetch_all(UNFINISHED))
            found += [(row["created_at"], tenant, row["id"]) for row in rows]
        return tuple((tenant, run_id) for _, tenant, run_id in sorted(found))

    async def ping(self) -> None:
        """See `orchestrator.ports.RunStore.ping`; it waits for `PING_S`."""
        try:
            async with asyncio.timeout(PING_S):
                await self._databases.read_shared(lambda session: session.fetch_one("SELECT 1 AS one"))
        except TimeoutError:
            raise StoreError(f"The database has not answered for {PING_S:g} s; expected it to at once.") from None

    async def get_artifact(self, tenant: str, project_id: str, artifact_id: str) -> Artifact | None:
        """See `orchestrator.ports.RunStore.get_artifact`."""

        async def read(session: Session) -> Artifact | None:
            return await find_artifact(session, project_id, artifact_id)

        return await read_or(self._databases, tenant, read, None)

    async def list_artifacts(
        self,
        tenant: str,
        project_id: str,
        run_id: str | None = None,
        limit: int = 200,
        *,
        with_content: bool = False,
    ) -> tuple[Artifact, ...]:
        """See `orchestrator.ports.RunStore.list_artifacts`."""

        async def read(session: Session) -> tuple[Artifact, ...]:
            return await newest_artifacts(session, project_id, run_id, limit, with_content=with_content)

        return await read_or(self._databases, tenant, read, ())


def _same_run(asked: NewRun, kept: RunRecord) -> RunRecord:
    if (asked.project_id, asked.agents_selected, asked.pipeline_mode) != (
        kept.project_id,
        kept.agents_selected,
        kept.pipeline_mode,
    ):
        raise RunIdConflictError(
            f"Run id {asked.id!r} is taken by another run; expected a new id or an equal request."
        )
    return kept


async def _present(session: Session, run_id: str) -> RunRecord:
    run = await read_run(session, run_id)
    assert run is not None, "its row was inserted, or stood in the way of that"  # noqa: S101
    return run


def _number(facts: Sequence[Fact], first: int, at: str) -> tuple[SavedEvent, ...]:
    return tuple(
        SavedEvent(event_id, fact.wire_type, encode_payload(fact, at)) for event_id, fact in enumerate(facts, first)
    )


def _plan_rows(run_id: str, plan: Sequence[StepQueued]) -> Iterator[Statement]:
    for step in plan:
        yield Statement(
            INSERT_STEP,
            {"run_id": run_id, "id": step.step_id, "agent_type": step.agent_type, "position": step.position},
        )


def _log_rows(run_id: str, events: Sequence[SavedEvent]) -> Iterator[Statement]:
    for event in events:
        yield Statement(INSERT_EVENT, {"run_id": run_id, **msgspec.structs.asdict(event)})
