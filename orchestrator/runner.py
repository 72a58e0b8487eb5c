"""One run, from claim to terminal event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from msgspec import UNSET

from orchestrator.context import build_context
from orchestrator.endings import interruption, stopped
from orchestrator.errors import ClaimLostError, StoreError
from orchestrator.events import STEP_FAILED, RunEnded, StepError
from orchestrator.lease import Leases
from orchestrator.pipeline import PipelineMode
from orchestrator.ports import Agent, Clock, DocumentStore, LanguageModel, Publisher, RunStore
from orchestrator.recorder import Recorder
from orchestrator.records import Artifact, Claim, Document, RunRecord, StepRecord
from orchestrator.retry import RetryPolicy
from orchestrator.states import StepState
from orchestrator.step import StepFailure, StepRunner

_log = structlog.get_logger(__name__)

MOST_TAKEOVERS = 3
"""In a row, without a step completing: whatever ends the worker each time is likely in the run."""

HAND_BACK_S = 2.0
"""How long a worker that stops tries to give its claim back; otherwise, its lease lapses."""


@dataclass(frozen=True)
class Runner:
    """Runs pipelines; one instance serves any number of runs at a time."""

    runs: RunStore
    documents: DocumentStore
    publisher: Publisher
    agents: Mapping[str, Agent]
    caching_agents: Mapping[str, Agent]
    """The same, for runs that may use the cache."""
    model_for: Callable[[Claim], LanguageModel]
    """The model that calls of a claimed run go to."""
    retry: RetryPolicy
    clock: Clock
    leases: Leases
    took_over: Callable[[], None]
    """Called for each run whose worker was lost. Cheap, and never raises."""
    context_tokens: int | None = None
    """How much an agent reads at once; None: everything."""

    async def run(self, claim: Claim, *, seize: bool = False) -> bool:
        """Claim the run and carry it to its terminal event, from its first unfinished step on. False: another has it.

        Returns without a trace where the run has ended or is another's, also when it becomes that meanwhile.
        Cancelled, it hands the run back as its log says, unless a save that was begun takes longer than `HAND_BACK_S`
        to end. A run that was taken over `MOST_TAKEOVERS` times without completing a step is given up. ``seize``: see
        `orchestrator.ports.RunStore.claim_run`.

        Raises:
            StoreError: the store failed; the run is as its log says, and can be taken up again.

        """
        return await self._with_claim(claim, _Pipeline.run, seize=seize)

    async def give_up(self, claim: Claim, message: str, *, seize: bool = False) -> bool:
        """Claim the run and end it as it stands, INTERRUPTED; otherwise like `run`."""
        return await self._with_claim(claim, lambda pipeline: pipeline.give_up(message), seize=seize)

    async def _with_claim(self, claim: Claim, work: Callable[[_Pipeline], Awaitable[None]], *, seize: bool) -> bool:
        claiming = asyncio.ensure_future(self.runs.claim_run(*claim, self.leases.lease_s, seize=seize))
        try:
            run = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self.hand_back(claim, claiming)
            raise
        if run is None:
            return False
        if run.taken_over:
            _log.warning("took over a run", run_id=run.id, takeovers=run.takeovers)
            self.took_over()
        recorder = Recorder(self.runs, self.publisher, claim.tenant, run, claim.token)
        try:
            with self.leases.held(claim):
                await work(_Pipeline(self, recorder, claim, run))
        except asyncio.CancelledError:
            await self.hand_back(claim, recorder.catch_up())
            raise
        except Exception as error:
            with contextlib.suppress(StoreError):
                await recorder.catch_up()
            if not isinstance(error, ClaimLostError):
                raise
            _log.info("run claimed away", run_id=run.id)
        return True

    async def hand_back(self, claim: Claim, writing: Awaitable[object] | None = None) -> None:
        """Release the claim, if it holds, after ``writing``, the last that is done with it; not for ever."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(HAND_BACK_S):
                if writing is not None:
                    await writing
                await self.runs.release_claim(claim)


class _Pipeline:
    """The steps of one claimed run."""

    def __init__(self, runner: Runner, recorder: Recorder, claim: Claim, record: RunRecord) -> None:
        self._runner = runner
        self._recorder = recorder
        self._claim = claim
        self._tenant = claim.tenant
        self._record = record

    async def run(self) -> None:
        """Carry out what is unfinished; whatever happens on the way but for the store, the run ends.

        Raises:
            ClaimLostError: the run is another worker's now.
            StoreError: the store failed.

        """
        if self._record.takeovers > MOST_TAKEOVERS:
            await self.give_up(f"Its worker was lost {self._record.takeovers} times without completing a step.")
            return
        try:
            await self._run_steps()
        except (ClaimLostError, StoreError):
            raise
        except Exception as error:
            _log.exception("run failed outside its steps", run_id=self._record.id)
            await self.give_up(f"The run could not go on ({type(error).__name__}).")

    async def give_up(self, message: str) -> None:
        """End the run as it stands after whatever this worker has begun to save; raises like `run`."""
        await self._recorder.catch_up()
        run = await self._runner.runs.get_run(self._tenant, self._record.id)
        if run is not None and not self._recorder.ended:
            await self._recorder.save(*interruption(run, message))

    async def _run_steps(self) -> None:
        documents = await self._runner.documents.list_documents(self._tenant, self._record.project_id, with_text=True)
        if self._record.pipeline_mode is PipelineMode.SEQUENTIAL:
            await self._run_in_order(documents)
        else:
            await self._run_side_by_side(documents)

    async def _run_in_order(self, documents: Sequence[Document]) -> None:
        earlier = await self._finished_artifacts()
        for step in self._unfinished():
            outcome = await self._run_step(step, documents, earlier)
            if isinstance(outcome, StepFailure):
                later = stopped((it for it in self._unfinished() if it.id != step.id), f"{step.agent_type} failed")
                await self._recorder.save(outcome.fact, *later, self._failed(outcome))
                return
            earlier.append(outcome)
        await self._recorder.save(RunEnded.success(self._record.id))

    async def _run_side_by_side(self, documents: Sequence[Document]) -> None:
        failures = [_failure_of(step) for step in self._record.steps if step.status is StepState.FAILED]
        try:
            async with asyncio.TaskGroup() as group:
                for step in self._unfinished():
                    group.create_task(self._run_alone(step, documents, failures))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        await self._recorder.save(self._failed(failures[0]) if failures else RunEnded.success(self._record.id))

    async def _run_alone(self, step: StepRecord, documents: Sequence[Document], failures: list[StepFailure]) -> None:
        """Run a step that stops no other: its failure is told at once, and ends the run when all are done."""
        outcome = await self._run_step(step, documents, ())
        if isinstance(outcome, StepFailure):
            await self._recorder.save(outcome.fact)
            failures.append(outcome)

    async def _run_step(
        self, step: StepRecord, documents: Sequence[Document], earlier: Sequence[Artifact]
    ) -> Artifact | StepFailure:
        agents = self._runner.caching_agents if self._record.use_cache else self._runner.agents
        runner = StepRunner(
            recorder=self._recorder,
            agent=agents[step.agent_type],
            model=self._runner.model_for(self._claim),
            retry=self._runner.retry,
            clock=self._runner.clock,
            tenant=self._tenant,
            run_id=self._record.id,
        )
        return await runner.run(step, build_context(documents, earlier, self._runner.context_tokens))

    async def _finished_artifacts(self) -> list[Artifact]:
        """What the steps that completed before this worker came have left, in the order of the steps."""
        saved = await self._runner.runs.list_artifacts(
            self._tenant, self._record.project_id, self._record.id, with_content=True
        )
        by_id = {artifact.id: artifact for artifact in saved}
        return [by_id[step.artifact_id] for step in self._record.steps if step.artifact_id in by_id]

    def _unfinished(self) -> list[StepRecord]:
        return [step for step in self._record.steps if step.id in self._recorder.unfinished]

    def _failed(self, failure: StepFailure) -> RunEnded:
        message = f"{failure.fact.agent_type} failed: {failure.fact.message}"
        return RunEnded.failure(self._record.id, failure.error_code, message)


def _failure_of(step: StepRecord) -> StepFailure:
    """The failure of a step that failed before this worker came."""
    fact = StepError(
        step_id=step.id,
        agent_type=step.agent_type,
        error_code="STEP_FAILED",
        message=step.error_message or "",
        reason=step.reason or UNSET,
    )
    return StepFailure(fact, step.reason or STEP_FAILED)
