"""A home that tests write to without a server: runs as a worker would have left them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from store_material import artifact, complete, new_run, running

from orchestrator.events import RunEnded, StepComplete, StepRunning
from orchestrator.records import Artifact, NewRun, RunRecord
from orchestrator.store import Store
from realtime.settings import Settings
from realtime.wiring.callers import ensure_local
from realtime.wiring.opening import open_store

AGENTS = ("ba_consultant", "qa_consultant")
TENANT = "demo"
WORKER = "worker"

Result = TypeVar("Result")


class HomeStage:
    """The home, or the database that the environment names with it. Every call opens the store and closes it."""

    def __init__(self, home: Path) -> None:
        self._settings = Settings.from_environment(home=home)

    def accept(self, tenant: str = TENANT, *, first_done: bool = False) -> str:
        """A run of `AGENTS` that nobody carries out; ``first_done``: its first step has left an artifact."""

        async def work(store: Store) -> str:
            run = await _new_run(store, tenant)
            await store.runs.accept_run(tenant, run)
            if first_done:
                await store.runs.claim_run(tenant, run.id, WORKER)
                facts, artifact = _first_step(run)
                await store.runs.save(tenant, run.id, WORKER, facts, [artifact])
            return run.id

        return self._do(work)

    def complete(self, run_id: str, tenant: str = TENANT, *, days_ago: int = 0) -> None:
        """End the run as a success, ``days_ago``."""
        ended = "UPDATE {tenant}.agent_runs SET ended_at = :at WHERE id = :id"

        async def work(store: Store) -> None:
            await store.runs.claim_run(tenant, run_id, WORKER, seize=True)
            await store.runs.save(tenant, run_id, WORKER, [RunEnded.success(run_id)])
            if days_ago:
                at = _days_ago(days_ago)
                await store._databases.write(tenant, lambda session: session.execute(ended, at=at, id=run_id))

        self._do(work)

    def run(self, run_id: str, tenant: str = TENANT) -> RunRecord:
        """The run as it stands."""
        run = self._do(lambda store: store.runs.get_run(tenant, run_id))
        assert run is not None
        return run

    def events(self, run_id: str, tenant: str = TENANT) -> int:
        """How many events its log holds."""
        return len(self._do(lambda store: store.runs.read_events(tenant, run_id, 0)))

    def artifacts(self, run_id: str, tenant: str = TENANT) -> int:
        """How many artifacts it left."""
        project_id = self.run(run_id, tenant).project_id
        return len(self._do(lambda store: store.runs.list_artifacts(tenant, project_id, run_id)))

    def _do(self, work: Callable[[Store], Awaitable[Result]]) -> Result:
        async def opened() -> Result:
            async with await open_store(self._settings) as store:
                return await work(store)

        return asyncio.run(opened())


def _days_ago(days: int) -> str:
    moment = datetime.now(UTC) - timedelta(days=days)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _new_run(store: Store, tenant: str) -> NewRun:
    if tenant == TENANT:
        seat = await ensure_local(store)
        project_id, user_id = seat.project_id, seat.user.id
    else:
        await store.accounts.ensure_tenant(tenant)
        project_id = (await store.accounts.ensure_project(tenant, "web", "Web")).id
        user_id = (await store.accounts.ensure_user(tenant, "lead@example.org")).id
    return msgspec.structs.replace(new_run(project_id, AGENTS), started_by=user_id)


def _first_step(run: NewRun) -> tuple[list[StepRunning | StepComplete], Artifact]:
    left = artifact(run)
    return [running(run), msgspec.structs.replace(complete(run), artifact_id=left.id)], left
