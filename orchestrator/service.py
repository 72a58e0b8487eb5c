"""What others ask of the orchestrator: accept a run, carry on with those that did not end, stop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import structlog

from orchestrator.budget import TokenBudget
from orchestrator.errors import NoDocumentsError, StoreError
from orchestrator.pipeline import parse_mode, validate_selection
from orchestrator.ports import DocumentStore, Publisher, RunStore
from orchestrator.recorder import publish
from orchestrator.records import NO_QUOTA, NewRun, Quota, RunRecord
from orchestrator.runner import Runner

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")

STORE_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""Waits before a run is taken up again that the store refused; after the last it is given up once that works."""

OUTAGE_CHECK_S = 2.0
"""How often a store that answers nobody is asked again."""


class Orchestrator:
    """Accepts runs and owns the tasks that carry them out, ``max_runs_at_once`` at a time; the rest stay queued.

    ``quota`` bounds the runs that a tenant, and each of its users, may have unfinished.
    """

    def __init__(
        self,
        runs: RunStore,
        documents: DocumentStore,
        publisher: Publisher,
        runner: Runner,
        budget: TokenBudget,
        *,
        max_runs_at_once: int = 4,
        quota: Quota = NO_QUOTA,
    ) -> None:
        self._runs = runs
        self._documents = documents
        self._publisher = publisher
        self._runner = runner
        self._budget = budget
        self._quota = quota
        self._slots = asyncio.Semaphore(max_runs_at_once)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def start_run(
        self,
        tenant: str,
        project_id: str,
        *,
        agents_selected: Sequence[str],
        pipeline_mode: str,
        run_id: str | None,
        started_by: str,
    ) -> RunRecord:
        """Accept a run and begin it as soon as there is room. Asking again with the same ``run_id`` starts nothing.

        Once accepted, a run goes on whatever happens to the caller.

        Raises:
            InvalidRequestError: no, unknown or repeated agents, an unknown mode, or no documents in that project.
            RunIdConflictError: the id is taken by another run.
            ProjectNotFoundError: the project went away meanwhile; one that never was has no documents.
            BudgetExceededError: the tenant has no tokens left.
            QuotaExceededError: the tenant or the user has as many unfinished runs as they may.

        """
        run = NewRun(
            id=run_id or str(uuid4()),
            project_id=project_id,
            pipeline_mode=parse_mode(pipeline_mode),
            agents_selected=validate_selection(agents_selected),
            step_ids=tuple(str(uuid4()) for _ in agents_selected),
            started_by=started_by,
        )
        if run_id is None or await self._runs.get_run(tenant, run_id) is None:
            await self._check_means(tenant, project_id)
        return await asyncio.shield(self._spawn(self._accept(tenant, run)))

    async def resume(self) -> int:
        """Take over every run that has not ended; how many those are."""
        unfinished = await self._runs.unfinished_runs()
        for tenant, run_id in unfinished:
            self._dispatch(tenant, run_id)
        return len(unfinished)

    async def close(self) -> None:
        """Stop working. Runs under way stay as their logs say, for whoever takes them over."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _check_means(self, tenant: str, project_id: str) -> None:
        """What a new run needs, and asking again for one that exists does not."""
        if not await self._documents.list_documents(tenant, project_id):
            raise NoDocumentsError("The project has no documents to work on; add some first.")
        self._budget.check(tenant)

    async def _accept(self, tenant: str, run: NewRun) -> RunRecord:
        accepted = await self._runs.accept_run(tenant, run, self._quota)
        if accepted.events:
            publish(self._publisher, tenant, run.id, accepted.events)
            self._dispatch(tenant, run.id)
        return accepted.run

    def _dispatch(self, tenant: str, run_id: str) -> None:
        """Begin the run in a context of its own: it outlives the request that asked for it, and logs its own id."""
        if not self._closed:
            context = contextvars.Context()
            context.run(structlog.contextvars.bind_contextvars, tenant=tenant, run_id=run_id)
            context.run(self._spawn, self._work(tenant, run_id))

    async def _work(self, tenant: str, run_id: str) -> None:
        """Carry the run to its end. What the store refuses is tried again from where the log then stands.

        A run that cannot be kept by a store that answers is given up; one that answers nobody is waited for.
        """
        refusals = 0
        while True:
            try:
                async with self._slots:
                    if refusals < len(STORE_RETRY_S):
                        await self._runner.run(tenant, run_id)
                    else:
                        await self._runner.give_up(tenant, run_id, "The run could not be kept.")
            except StoreError as error:
                _log.warning("run not finished, trying again", run_id=run_id, reason=str(error))
            except Exception:
                _log.exception("run not finished, trying again", run_id=run_id)
            else:
                return
            refusals += await self._pause(STORE_RETRY_S[min(refusals, len(STORE_RETRY_S) - 1)])

    async def _pause(self, delay_s: float) -> bool:
        """Wait for so long, and until the store answers. True: it did so at once, what it refuses is this run."""
        await self._runner.clock.sleep(delay_s)
        answered = await self._answers()
        while not await self._answers():
            await self._runner.clock.sleep(OUTAGE_CHECK_S)
        return answered

    async def _answers(self) -> bool:
        try:
            await self._runs.ping()
        except StoreError:
            return False
        return True

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
