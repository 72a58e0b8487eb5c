"""Runs: their rows, their logs, their claims, and the artifacts that were saved with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

from orchestrator.errors import ClaimLostError, StoreError
from orchestrator.events import Fact
from orchestrator.ports import LEASE_S
from orchestrator.records import NO_QUOTA, Artifact, Claim, NewRun, Quota, RunRecord, SavedEvent, Written
from orchestrator.store import claims
from orchestrator.store.accepting import accept
from orchestrator.store.artifacts import artifacts_of_project, artifacts_of_run, find_artifact
from orchestrator.store.base import Databases, Session, TenantNotFoundError, bounded, read_or, spread, write_or
from orchestrator.store.budgets import write_off
from orchestrator.store.durations import past_durations
from orchestrator.store.quotas import check_runs
from orchestrator.store.run_log import append, check_order, read_log
from orchestrator.store.run_rows import read_run, read_runs

LARGEST_PAGE = 500
"""Runs in one answer, and ids in one question."""

PING_S = 2.0

HOLD = "UPDATE {tenant}.agent_runs SET last_event_id = last_event_id WHERE id = :id"
"""Changes nothing, but waits for whoever writes the run's log: a COMMIT goes on when its connection is lost."""

HEADS = "SELECT id, last_event_id FROM {tenant}.agent_runs WHERE id IN ({ids})"

NEWEST_HEADS = """
    SELECT * FROM (
        SELECT project_id, id, last_event_id AS head FROM {{tenant}}.agent_runs
        WHERE project_id = :project_{0} ORDER BY created_at DESC, id DESC LIMIT :limit
    ) AS newest_{0}
"""

PROJECTS_AT_ONCE = 100
"""SQLite joins 500 selects at most."""

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


class RunStore:
    """`orchestrator.ports.RunStore` on any of the databases. A tenant that does not exist has nothing."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def accept_run(self, tenant: str, run: NewRun, quota: Quota = NO_QUOTA) -> Written:
        """See `orchestrator.ports.RunStore.accept_run`. Of equal runs accepted at once, one gets the events.

        Raises:
            ValueError: there are not as many step ids as agents.

        """

        async def accept_within(session: Session) -> Written:
            accepted = await accept(session, run)
            if accepted.events:
                await check_runs(session, run.started_by, quota)
            return accepted

        return await self._databases.write_in_turn(tenant, accept_within)

    async def claim_run(
        self, tenant: str, run_id: str, token: str, lease_s: float = LEASE_S, *, seize: bool = False
    ) -> RunRecord | None:
        """See `orchestrator.ports.RunStore.claim_run`."""

        async def claim(session: Session) -> RunRecord | None:
            run = await claims.claim(session, run_id, token, lease_s, seize=seize)
            if run is not None:
                await write_off(session, run_id)
            return run

        return await write_or(self._databases, tenant, claim, None)

    async def renew_claims(self, tenant: str, tokens: Mapping[str, str], lease_s: float = LEASE_S) -> frozenset[str]:
        """See `orchestrator.ports.RunStore.renew_claims`."""
        return await write_or(
            self._databases, tenant, lambda session: claims.renew(session, tokens, lease_s), frozenset()
        )

    async def held_claims(self, tenant: str, tokens: Mapping[str, str]) -> frozenset[str]:
        """See `orchestrator.ports.RunStore.held_claims`."""
        return await read_or(self._databases, tenant, lambda session: claims.held(session, tokens), frozenset())

    async def release_claim(self, claim: Claim) -> None:
        """See `orchestrator.ports.RunStore.release_claim`."""
        await write_or(
            self._databases, claim.tenant, lambda session: claims.release(session, claim.run_id, claim.token), None
        )

    async def end_run(self, tenant: str, run_id: str, end: Callable[[RunRecord], Sequence[Fact]]) -> Written | None:
        """See `orchestrator.ports.RunStore.end_run`."""
        token = uuid4().hex

        async def end_it(session: Session) -> Written | None:
            run = await claims.claim(session, run_id, token, 0, seize=True)
            events = () if run is None else await append(session, run_id, token, end(run))
            ended = await read_run(session, run_id)
            return None if ended is None else Written(ended, events)

        return await write_or(self._databases, tenant, end_it, None)

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        """See `orchestrator.ports.RunStore.save`. Artifacts are kept as those of ``run_id``.

        Raises:
            IllegalTransitionError: a fact follows the end of the run. Nothing was changed.

        """
        check_order(run_id, facts)

        async def save(session: Session) -> tuple[SavedEvent, ...]:
            return await append(session, run_id, token, facts, artifacts)

        try:
            return await self._databases.write(tenant, save)
        except TenantNotFoundError:
            raise ClaimLostError(f"Run {run_id!r} does not exist: there is no tenant {tenant!r}.") from None

    async def read_events(self, tenant: str, run_id: str, after: int, limit: int = 500) -> tuple[SavedEvent, ...]:
        """See `orchestrator.ports.RunStore.read_events`."""

        async def read(session: Session) -> tuple[SavedEvent, ...]:
            return await read_log(session, run_id, after, limit)

        return await read_or(self._databases, tenant, read, ())

    async def settled_events(self, tenant: str, run_id: str, after: int, limit: int = 500) -> tuple[SavedEvent, ...]:
        """See `orchestrator.ports.RunStore.settled_events`."""

        async def read(session: Session) -> tuple[SavedEvent, ...]:
            await session.execute(HOLD, id=run_id)
            return await read_log(session, run_id, after, limit)

        return await write_or(self._databases, tenant, read, ())

    async def heads(self, tenant: str, run_ids: Sequence[str]) -> dict[str, int]:
        """See `orchestrator.ports.RunStore.heads`."""

        async def read(session: Session) -> dict[str, int]:
            heads: dict[str, int] = {}
            for start in range(0, len(run_ids), LARGEST_PAGE):
                sql, ids = spread(HEADS, "ids", run_ids[start : start + LARGEST_PAGE])
                heads |= {row["id"]: row["last_event_id"] for row in await session.fetch_all(sql, **ids)}
            return heads

        return await read_or(self._databases, tenant, read, {})

    async def newest_heads(self, tenant: str, project_ids: Sequence[str], limit: int) -> dict[str, dict[str, int]]:
        """See `orchestrator.ports.RunStore.newest_heads`."""

        async def read(session: Session) -> dict[str, dict[str, int]]:
            heads: dict[str, dict[str, int]] = {}
            for start in range(0, len(project_ids), PROJECTS_AT_ONCE):
                some = project_ids[start : start + PROJECTS_AT_ONCE]
                sql = " UNION ALL ".join(NEWEST_HEADS.format(index) for index in range(len(some)))
                bound = {f"project_{index}": project_id for index, project_id in enumerate(some)}
                for row in await session.fetch_all(sql, **bound, limit=bounded(limit)):
                    heads.setdefault(row["project_id"], {})[row["id"]] = row["head"]
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

    async def past_durations(
        self, tenant: str, project_id: str, agents_selected: Sequence[str], pipeline_mode: str, limit: int = 20
    ) -> tuple[float, ...]:
        """See `orchestrator.ports.RunStore.past_durations`."""

        async def read(session: Session) -> tuple[float, ...]:
            return await past_durations(session, project_id, agents_selected, pipeline_mode, bounded(limit))

        return await read_or(self._databases, tenant, read, ())

    async def unfinished_runs(self) -> tuple[tuple[str, str], ...]:
        """See `orchestrator.ports.RunStore.unfinished_runs`."""
        return await self._databases.open_runs(free=False)

    async def free_runs(self) -> tuple[tuple[str, str], ...]:
        """See `orchestrator.ports.RunStore.free_runs`."""
        return await self._databases.open_runs(free=True)

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
        before: str | None = None,
        *,
        with_content: bool = False,
    ) -> tuple[Artifact, ...]:
        """See `orchestrator.ports.RunStore.list_artifacts`."""

        async def read(session: Session) -> tuple[Artifact, ...]:
            if run_id is None:
                return await artifacts_of_project(session, project_id, limit, before, with_content=with_content)
            return await artifacts_of_run(session, project_id, run_id, limit, with_content=with_content)

        return await read_or(self._databases, tenant, read, ())
