"""A real store with runs in it, and all around them in the hands of the test: clock, agents, viewers, faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from manual_clock import PATIENCE_S, ManualClock, Watched
from store_material import TENANT, check_run

from orchestrator.events import Fact
from orchestrator.lease import Leases
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.ports import LEASE_S, AgentResult, Context, LanguageModel, Report, RunStore
from orchestrator.records import Artifact, Claim, Document, NewRun, RunRecord, SavedEvent
from orchestrator.retry import RetryPolicy
from orchestrator.runner import Runner
from orchestrator.store import Store
from realtime.counts import RunCounts

BA, QA, AUTOMATION = AGENT_TYPES
Item = TypeVar("Item")


class Line(NamedTuple):
    """One event of a log, its payload decoded and without the time."""

    id: int
    type: str
    payload: dict[str, Any]

    @classmethod
    def of(cls, event: SavedEvent) -> Line:
        payload = json.loads(event.payload)
        del payload["at"]
        return cls(event.id, event.type, payload)


class RecordingPublisher:
    """Keeps what it is told to publish; raises afterwards if the test says so."""

    def __init__(self) -> None:
        self.events: Watched[SavedEvent] = Watched()
        self.error: Exception | None = None

    def publish(self, tenant: str, run_id: str, events: Sequence[SavedEvent]) -> None:
        for event in events:
            self.events.append(event)
        if self.error is not None:
            raise self.error

    @property
    def lines(self) -> list[Line]:
        """What was published, in order."""
        return [Line.of(event) for event in self.events]

    async def until(self, found: Callable[[Line], bool]) -> Line:
        """The first event for which ``found``, as soon as it is published."""
        return Line.of(await self.events.until(lambda event: found(Line.of(event))))

    async def until_running(self, percent: int, agent_type: str | None = None) -> Line:
        """The ``running`` event with that percentage, of that agent if one is named."""
        return await self.until(
            lambda line: (
                line.type == "running"
                and line.payload["progress_pct"] == percent
                and agent_type in {None, line.payload["agent_type"]}
            )
        )


class Call(NamedTuple):
    """An agent at work; it waits for the test to say how that ends."""

    context: Context
    report: Report
    outcome: asyncio.Future[AgentResult]

    def finish(self, content: str = "# Done\n", tokens: int = 7) -> None:
        self.outcome.set_result(result(content, tokens))

    def fail(self, error: BaseException) -> None:
        self.outcome.set_exception(error)


def result(content: str = "# Done\n", tokens: int = 7) -> AgentResult:
    """Something that an agent hands in."""
    return AgentResult(
        title="Done", artifact_type="note", content_type="text/markdown", content=content, tokens_used=tokens
    )


class GatedAgent:
    """An agent whose every piece of work waits for the test."""

    def __init__(self, agent_type: str) -> None:
        self.agent_type = agent_type
        self.calls: Watched[Call] = Watched()

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        call = Call(context, report, asyncio.get_running_loop().create_future())
        self.calls.append(call)
        return await call.outcome


class BusyAgent:
    """An agent that reports its way from 10 to 90 percent and hands in its result without waiting for anybody."""

    def __init__(self, agent_type: str) -> None:
        self.agent_type = agent_type

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        for percent in range(10, 100, 20):
            report(percent, f"{percent} of 100")
            for _ in range(20):
                await asyncio.sleep(0)
        return result(f"# {self.agent_type} after {len(context.earlier)}\n")


class NoModel:
    """A language model for agents that never ask one."""

    name = "none"

    def estimate(self, request: object) -> int:
        raise AssertionError("no agent of these tests asks a model")

    def stream(self, request: object) -> Any:
        raise AssertionError("no agent of these tests asks a model")


class RecordedSpending:
    """Keeps what an observer of spending is told."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, int]] = []
        self.shares: list[float] = []
        self.warnings = 0
        self.refusals = 0

    def spent(self, agent_type: str, tokens: int) -> None:
        self.tokens.append((agent_type, tokens))

    def used(self, tenant: str, month: str, share: float) -> None:
        self.shares.append(share)

    def warned(self) -> None:
        self.warnings += 1

    def refused(self) -> None:
        self.refusals += 1


class Through:
    """A run store that hands everything on to the one behind it; a fault overrides what it spoils."""

    def __init__(self, store: RunStore) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        return await self.store.save(tenant, run_id, token, facts, artifacts)


@dataclass
class RunStage:
    """Runs of one project in a real store, and what the test holds in its hands."""

    store: Store
    project_id: str
    tenant: str = TENANT
    clock: ManualClock = field(default_factory=ManualClock)
    lease_clock: ManualClock = field(default_factory=ManualClock)
    """That of the leases, so that the naps of ``clock`` are those of runs."""
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    counts: RunCounts = field(default_factory=RunCounts)
    agents: dict[str, GatedAgent] = field(
        default_factory=lambda: {agent_type: GatedAgent(agent_type) for agent_type in AGENT_TYPES}
    )

    def runner(self, *, runs: Any = None, delays_s: tuple[float, ...] | None = None, **parts: Any) -> Runner:
        """A runner over the stage's parts, or over those given instead."""
        return Runner(
            **{
                "runs": runs or self.store.runs,
                "documents": self.store.documents,
                "publisher": self.publisher,
                "agents": self.agents,
                "caching_agents": parts.get("agents", self.agents),
                "model_for": lambda _: NoModel(),
                "retry": RetryPolicy() if delays_s is None else RetryPolicy(delays_s),
                "clock": self.clock,
                "leases": Leases(runs or self.store.runs, self.lease_clock),
                "took_over": self.counts.took_over,
                **parts,
            }
        )

    async def accept(self, *agents: str, mode: PipelineMode = PipelineMode.SEQUENTIAL, **options: Any) -> RunRecord:
        """A run that nobody works on yet; its ``queued`` events are published."""
        run = NewRun(
            id=str(uuid4()),
            project_id=self.project_id,
            pipeline_mode=mode,
            agents_selected=agents or AGENT_TYPES,
            step_ids=tuple(str(uuid4()) for _ in agents or AGENT_TYPES),
            started_by="u1",
            **options,
        )
        accepted = await self.store.runs.accept_run(self.tenant, run)
        self.publisher.publish(self.tenant, run.id, accepted.events)
        return accepted.run

    def work(self, run: RunRecord, runner: Runner | None = None) -> asyncio.Task[None]:
        """A worker on that run, which takes it from any other."""
        claim = Claim(self.tenant, run.id, uuid4().hex)
        return asyncio.create_task((runner or self.runner()).run(claim, seize=True))

    async def claim(self, run: RunRecord, token: str = "mine", lease_s: float = LEASE_S) -> RunRecord:
        """The run, claimed by ``token``, whoever had it."""
        record = await self.store.runs.claim_run(self.tenant, run.id, token, lease_s, seize=True)
        assert record is not None
        return record

    async def spend(self, tokens: int) -> None:
        """Let a call of some run have taken so many tokens."""
        claim = Claim(self.tenant, (await self.claim(await self.accept(BA))).id, "mine")
        reservation = await self.store.tokens.reserve(claim, 1, None)
        await self.store.tokens.settle(self.tenant, reservation.id, tokens)

    async def log(self, run: RunRecord) -> list[Line]:
        """The run's log."""
        return [Line.of(event) for event in await self.store.runs.read_events(self.tenant, run.id, 0, 10_000)]

    async def check(self, run: RunRecord) -> RunRecord:
        """The run as stored: its log has no gap and folds to its rows, and viewers were told just that."""
        record = await check_run(self.store, self.tenant, run.id)
        assert self.publisher.lines == await self.log(run)
        return record

    async def call(self, agent_type: str, number: int = 1) -> Call:
        """That agent's piece of work with that number, as soon as it has begun."""
        return await self.agents[agent_type].calls.nth(number)

    async def add_document(self, path: str, text: str) -> Document:
        """Another document."""
        (kept,) = await self.store.documents.add_documents(self.tenant, self.project_id, [(path, text)])
        return kept


async def finished(task: asyncio.Task[Item]) -> Item:
    """What the task returns, as soon as it does."""
    async with asyncio.timeout(PATIENCE_S):
        return await task


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel the task; return when it has ended."""
    task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({task})


async def turns(number: int) -> None:
    """Let everything else that is ready run so many times."""
    for _ in range(number):
        await asyncio.sleep(0)
