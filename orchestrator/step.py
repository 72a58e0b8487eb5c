"""One step of a run: attempts, waits between them, and what comes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import structlog
from msgspec import UNSET

from orchestrator.errors import BudgetExceededError, ClaimLostError, ModelError, OrchestratorError, StoreError
from orchestrator.events import BUDGET_EXCEEDED, STEP_FAILED, Fact, StepComplete, StepError, StepRunning
from orchestrator.ports import Agent, AgentResult, Clock, Context, LanguageModel
from orchestrator.progress import ProgressMeter, SaveProgress
from orchestrator.recorder import Recorder
from orchestrator.records import Artifact, StepRecord
from orchestrator.retry import STORE_RETRY_S, RetryPolicy

_log = structlog.get_logger(__name__)

FROM_CACHE = "Answered from the cache: the same was asked before"
"""The progress of a step that was over at once."""


@dataclass(frozen=True)
class StepFailure:
    """A step failed for good. ``error_code`` is what the run ends with."""

    fact: StepError
    error_code: str


@dataclass(frozen=True)
class StepRunner:
    """Runs one step with ``agent``; everything that happens goes through ``recorder``."""

    recorder: Recorder
    agent: Agent
    model: LanguageModel
    retry: RetryPolicy
    clock: Clock
    tenant: str
    run_id: str

    async def run(self, step: StepRecord, context: Context) -> Artifact | StepFailure:
        """The artifact the step left, saved with its ``complete`` event; or why it failed, which is not saved yet.

        Raises:
            ClaimLostError: the run is another worker's now.
            StoreError: the store cannot keep what happens.

        """
        failures = 0
        attempt = step.attempt
        while True:
            attempt += 1
            label = f"Agent {step.agent_type} is analyzing your project..."
            meter = ProgressMeter(self._saver(step, attempt), self.clock, label)
            await self.recorder.save(_running(step, 0, label, attempt))
            started = self.clock.monotonic()
            try:
                result = await self._work(context, meter)
            except (ClaimLostError, StoreError):
                raise
            except BudgetExceededError as error:
                return _failure(step, str(error), BUDGET_EXCEEDED)
            except Exception as error:
                failures += 1
                message = _message(error)
                delay_s = self._delay_after(failures, error)
                if delay_s is None:
                    return _failure(step, message, STEP_FAILED)
                await self._wait(step, attempt, meter.percent, message, delay_s)
            else:
                return await self._complete(step, attempt, result, self.clock.monotonic() - started)

    def _delay_after(self, failures: int, error: Exception) -> float | None:
        """Seconds until the next attempt; None: there is none, as this was the last or another cannot help."""
        if not isinstance(error, ModelError):
            return self.retry.delay_after(failures)
        return None if error.permanent else self.retry.delay_after(failures, error.retry_after_s or 0.0)

    async def _work(self, context: Context, meter: ProgressMeter) -> AgentResult:
        """Let the agent work while its progress is saved; if that cannot be saved, the work stops."""
        loop = asyncio.get_running_loop()
        work = loop.create_task(self.agent.work(self.tenant, context, self.model, meter.report))
        progress = loop.create_task(meter.run())
        try:
            await asyncio.wait({work, progress}, return_when=asyncio.FIRST_COMPLETED)
            if progress.done():
                progress.result()
            if work.cancelled():
                raise ModelError("The agent gave up its work without an answer.")
            return work.result()
        finally:
            for task in (work, progress):
                task.cancel()
            await asyncio.gather(work, progress, return_exceptions=True)

    async def _wait(self, step: StepRecord, attempt: int, percent: int, message: str, delay_s: float) -> None:
        retry_at = (self.clock.now() + timedelta(seconds=delay_s)).isoformat(timespec="milliseconds")
        await self.recorder.save(
            StepRunning(
                step_id=step.id,
                agent_type=step.agent_type,
                progress_pct=percent,
                progress_label=f"Attempt {attempt} failed, trying again in {delay_s:g} s",
                attempt=attempt,
                retry_at=retry_at.replace("+00:00", "Z"),
                reason=message,
            )
        )
        await self.clock.sleep(delay_s)

    async def _complete(self, step: StepRecord, attempt: int, result: AgentResult, duration_s: float) -> Artifact:
        artifact = self._create_artifact(step, result)
        progress = [_running(step, 100, FROM_CACHE, attempt)] if result.cached else []
        fact = StepComplete(
            step_id=step.id,
            agent_type=step.agent_type,
            tokens_used=result.tokens_used,
            artifact_id=artifact.id,
            duration_ms=round(duration_s * 1000),
            cached=result.cached,
        )
        for delay_s in STORE_RETRY_S:  # to do the work again would cost more
            try:
                await self._keep(artifact, *progress, fact)
            except StoreError as error:
                _log.warning("a finished step cannot be saved yet", step_id=step.id, reason=str(error))
                await self.clock.sleep(delay_s)
            else:
                return artifact
        await self._keep(artifact, *progress, fact)
        return artifact

    async def _keep(self, artifact: Artifact, *facts: Fact) -> None:
        """Save the end of the step, unless an earlier try turns out to have done so."""
        await self.recorder.catch_up()
        if artifact.step_id in self.recorder.unfinished:
            await self.recorder.save(*facts, artifacts=(artifact,))

    def _create_artifact(self, step: StepRecord, result: AgentResult) -> Artifact:
        return Artifact(
            id=str(uuid4()),
            run_id=self.run_id,
            step_id=step.id,
            agent_type=step.agent_type,
            title=result.title,
            artifact_type=result.artifact_type,
            content_type=result.content_type,
            content=result.content,
        )

    def _saver(self, step: StepRecord, attempt: int) -> SaveProgress:
        async def save(percent: int, label: str, *, stalled: bool) -> None:
            await self.recorder.save(_running(step, percent, label, attempt, stalled=stalled))

        return save


def _running(step: StepRecord, percent: int, label: str, attempt: int, *, stalled: bool = False) -> StepRunning:
    return StepRunning(
        step_id=step.id,
        agent_type=step.agent_type,
        progress_pct=percent,
        progress_label=label,
        attempt=attempt,
        stalled=True if stalled else UNSET,
    )


def _failure(step: StepRecord, message: str, error_code: str) -> StepFailure:
    fact = StepError(
        step_id=step.id,
        agent_type=step.agent_type,
        error_code="STEP_FAILED",
        message=message,
        reason=UNSET if error_code == STEP_FAILED else error_code,
    )
    return StepFailure(fact, error_code)


def _message(error: Exception) -> str:
    """What went wrong, for people: our own errors speak for themselves, of others only the kind is told."""
    if isinstance(error, OrchestratorError):
        return str(error)
    _log.error("an agent failed unexpectedly", exc_info=error)
    return f"The agent failed unexpectedly ({type(error).__name__})."
