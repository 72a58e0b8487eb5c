"""What others ask of the orchestrator: start, cancel and retry runs, carry on with those that did not end, stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import structlog

from orchestrator.budget import TokenBudget
from orchestrator.dispatch import Dispatcher
from orchestrator.endings import cancellation
from orchestrator.errors import NoDocumentsError, NotRetriableError, RunNotFoundError
from orchestrator.pipeline import parse_mode, validate_selection
from orchestrator.ports import DocumentStore, Publisher, RunStore
from orchestrator.recorder import publish
from orchestrator.records import NO_QUOTA, NewRun, Quota, RunRecord
from orchestrator.runner import Runner
from orchestrator.states import RUN_TRANSITIONS, RunState, StepState

_log = structlog.get_logger(__name__)


class Orchestrator:
    """Accepts, cancels and retries runs, and carries them out, ``max_runs_at_once`` at a time; the rest stay queued.

    ``quota`` bounds the runs that a tenant, and each of its users, may have unfinished. ``alone``: no other process
    works on this store.
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
        alone: bool = True,
    ) -> None:
        self._runs = runs
        self._documents = documents
        self._publisher = publisher
        self._runner = runner
        self._budget = budget
        self._quota = quota
        self._dispatcher = Dispatcher(runs, runner, max_runs_at_once=max_runs_at_once, alone=alone)

    async def start_run(
        self,
        tenant: str,
        project_id: str,
        *,
        agents_selected: Sequence[str],
        pipeline_mode: str,
        run_id: str | None,
        started_by: str,
        use_cache: bool = True,
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
            use_cache=use_cache,
        )
        return await self._start(tenant, run, is_known=run_id is not None)

    async def retry_run(self, tenant: str, run_id: str, *, retry_id: str | None, started_by: str) -> RunRecord:
        """Accept a new run that does again what that run did not complete, and takes over the artifacts of the rest.

        Asking again with the same ``retry_id``, which becomes the id of the new run, starts nothing.

        Raises:
            RunNotFoundError: there is no such run.
            NotRetriableError: it has not ended, or it succeeded.
            RunIdConflictError, ProjectNotFoundError, BudgetExceededError, QuotaExceededError, NoDocumentsError: as in
                `start_run`.

        """
        first = await self._runs.get_run(tenant, run_id)
        if first is None:
            raise RunNotFoundError(f"There is no run {run_id!r}.")
        if RUN_TRANSITIONS[first.status]:
            raise NotRetriableError(f"The run is {first.status}; expected it to have ended. Cancel it first.")
        if first.status is RunState.COMPLETED:
            raise NotRetriableError("The run completed; expected one that failed or was cancelled. Start a new run.")
        run = NewRun(
            id=retry_id or str(uuid4()),
            project_id=first.project_id,
            pipeline_mode=first.pipeline_mode,
            agents_selected=first.agents_selected,
            step_ids=tuple(str(uuid4()) for _ in first.steps),
            started_by=started_by,
            retry_of=first.id,
            reused={
                step.agent_type: step.artifact_id
                for step in first.steps
                if step.status is StepState.COMPLETED and step.artifact_id is not None
            },
            use_cache=first.use_cache,
        )
        return await self._start(tenant, run, is_known=retry_id is not None)

    async def cancel_run(self, tenant: str, run_id: str, cancelled_by: str) -> RunRecord:
        """End the run, whoever works on it, and stop that work; one that has ended stays as it is. The run, ended.

        Once asked for, it is done whatever happens to the caller.

        Raises:
            RunNotFoundError: there is no such run.

        """
        return await asyncio.shield(self._dispatcher.spawn(self._cancel(tenant, run_id, cancelled_by)))

    async def _cancel(self, tenant: str, run_id: str, cancelled_by: str) -> RunRecord:
        ended = await self._runs.end_run(tenant, run_id, lambda run: cancellation(run, cancelled_by))
        if ended is None:
            raise RunNotFoundError(f"There is no run {run_id!r}.")
        if ended.events:
            _log.info("run cancelled", run_id=run_id, cancelled_by=cancelled_by)
            publish(self._publisher, tenant, run_id, ended.events)
            self._runner.leases.lose(tenant, run_id)
        return ended.run

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Carry out runs, those left unfinished first; at the end, stop and hand them back as their logs say."""
        resumed = await self._dispatcher.resume()
        if resumed:
            _log.info("took up unfinished runs", runs=resumed)
        chores = [
            asyncio.create_task(self._runner.leases.keep()),
            asyncio.create_task(self._dispatcher.seek()),
        ]
        try:
            yield
        finally:
            await self._dispatcher.close()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)

    async def _start(self, tenant: str, run: NewRun, *, is_known: bool) -> RunRecord:
        """Accept the run; what a new one needs, and asking again for one that exists does not, is asked for first."""
        if not is_known or await self._runs.get_run(tenant, run.id) is None:
            await self._check_means(tenant, run.project_id)
        return await asyncio.shield(self._dispatcher.spawn(self._accept(tenant, run)))

    async def _check_means(self, tenant: str, project_id: str) -> None:
        if not await self._documents.list_documents(tenant, project_id):
            raise NoDocumentsError("The project has no documents to work on; add some first.")
        await self._budget.check(tenant)

    async def _accept(self, tenant: str, run: NewRun) -> RunRecord:
        accepted = await self._runs.accept_run(tenant, run, self._quota)
        if accepted.events:
            publish(self._publisher, tenant, run.id, accepted.events)
        if RUN_TRANSITIONS[accepted.run.status]:  # one accepted before may be one whose COMMIT seemed to fail
            self._dispatcher.dispatch(tenant, run.id)
        return accepted.run
