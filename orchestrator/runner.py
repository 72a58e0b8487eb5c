"""One run, from claim to terminal event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from orchestrator.context import build_context
from orchestrator.errors import ClaimLostError, StoreError
from orchestrator.events import INTERRUPTED, STEP_FAILED, RunEnded, StepError
from orchestrator.pipeline import PipelineMode
from orchestrator.ports import Agent, Clock, DocumentStore, LanguageModel, Publisher, RunStore
from orchestrator.recorder import Recorder
from orchestrator.records import Artifact, Document, RunRecord, StepRecord
from orchestrator.retry import RetryPolicy
from orchestrator.states import StepState
from orchestrator.step import StepFailure, StepRunner

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runner:
    """Runs pipelines; one instance serves any number of runs at a time."""

    runs: RunStore
    documents: DocumentStore
    publisher: Publisher
    agents: Mapping[str, Agent]
    model: LanguageModel
    retry: RetryPolicy
    clock: Clock

    async def run(self, tenant: str, run_id: str) -> None:
        """Claim the run and carry it to its terminal event, from its first unfinished step on.

        Returns without a trace where the run has ended or is claimed away. Cancelled, it leaves the run as its log
        says, to be taken over; every save that was begun has then ended.

        Raises:
            StoreError: the store failed; the run is as its log says, and can be taken up again.

        """
        async with self._claimed(tenant, run_id) as pipeline:
            if pipeline is not None:
                await pipeline.run()

    async def give_up(self, tenant: str, run_id: str, message: str) -> None:
        """Claim the run and end it as it stands, INTERRUPTED.

        Raises:
            StoreError: the store failed; the run has not ended.

        """
        async with self._claimed(tenant, run_id) as pipeline:
            if pipeline is not None:
                await pipeline.give_up(message)

    @contextlib.asynccontextmanager
    async def _claimed(self, tenant: str, run_id: str) -> AsyncIterator[_Pipeline | None]:
        """The run's steps, claimed; None: it has ended. Losing the claim ends the work without a trace."""
        token = uuid4().hex
        record = await self.runs.claim_run(tenant, run_id, token)
        if record is None:
            yield None
            return
        recorder = Recorder(self.runs, self.publisher, tenant, record, token)
        try:
            yield _Pipeline(self, recorder, tenant, record)
        except ClaimLostError:
            _log.info("run claimed away", run_id=run_id)
        finally:
            with contextlib.suppress(StoreError):
                await recorder.catch_up()


class _Pipeline:
    """The steps of one claimed run."""

    def __init__(self, runner: Runner, recorder: Recorder, tenant: str, record: RunRecord) -> None:
        self._runner = runner
        self._recorder = recorder
        self._tenant = tenant
        self._record = record

    async def run(self) -> None:
        """Carry out what is unfinished; whatever happens on the way but for the store, the run ends.

        Raises:
            ClaimLostError: the run is another worker's now.
            StoreError: the store failed.

        """
        try:
            await self._run_steps()
        except (ClaimLostError, StoreError):
            raise
        except Exception as error:
            _log.exception("run failed outside its steps", run_id=self._record.id)
            await self.give_up(f"The run could not go on ({type(error).__name__}).")

    async def _run_steps(self) -> None:
        documents = await self._runner.documents.list_documents(self._tenant, self._record.project_id, with_text=True)
        if self._record.pipeline_mode is PipelineMode.SEQUENTIAL:
            await self._run_in_order(documents)
        else:
            await self._run_side_by_side(documents)

    async def give_up(self, message: str) -> None:
        """End the run as it stands, because of something that is no step's failure."""
        await self._recorder.catch_up()
        if not self._recorder.ended:
            unfinished = self._cancelled(f"not finished: {message}")
            await self._recorder.save(*unfinished, RunEnded.failure(self._record.id, INTERRUPTED, message))

    async def _run_in_order(self, documents: Sequence[Document]) -> None:
        earlier = await self._finished_artifacts()
        for step in self._unfinished():
            outcome = await self._run_step(step, documents, earlier)
            if isinstance(outcome, StepFailure):
                later = self._cancelled(f"not started: {step.agent_type} failed", but=step.id)
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
        runner = StepRunner(
            recorder=self._recorder,
            agent=self._runner.agents[step.agent_type],
            model=self._runner.model,
            retry=self._runner.retry,
            clock=self._runner.clock,
            tenant=self._tenant,
            run_id=self._record.id,
        )
        return await runner.run(step, build_context(documents, earlier, None))

    async def _finished_artifacts(self) -> list[Artifact]:
        """What the steps that completed before this worker came have left, in the order of the steps."""
        saved = await self._runner.runs.list_artifacts(
            self._tenant, self._record.project_id, self._record.id, with_content=True
        )
        by_id = {artifact.id: artifact for artifact in saved}
        return [by_id[step.artifact_id] for step in self._record.steps if step.artifact_id in by_id]

    def _unfinished(self) -> list[StepRecord]:
        return [step for step in self._record.steps if step.id in self._recorder.unfinished]

    def _cancelled(self, message: str, *, but: str | None = None) -> list[StepError]:
        """The end of every unfinished step, except the one named."""
        return [
            StepError(step_id=step.id, agent_type=step.agent_type, error_code="STEP_CANCELLED", message=message)
            for step in self._unfinished()
            if step.id != but
        ]

    def _failed(self, failure: StepFailure) -> RunEnded:
        message = f"{failure.fact.agent_type} failed: {failure.fact.message}"
        return RunEnded.failure(self._record.id, failure.error_code, message)


def _failure_of(step: StepRecord) -> StepFailure:
    """The failure of a step that failed before this worker came."""
    message = step.error_message or ""
    fact = StepError(step_id=step.id, agent_type=step.agent_type, error_code="STEP_FAILED", message=message)
    return StepFailure(fact, STEP_FAILED)
