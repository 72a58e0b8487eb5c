"""Orchestrators at work over the real store of a `RunStage`, and what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from run_stage import BA, BusyAgent, RecordedSpending, RunStage, cancelled

from orchestrator.budget import TokenBudget
from orchestrator.errors import StoreError
from orchestrator.lease import Leases
from orchestrator.pipeline import AGENT_TYPES
from orchestrator.records import RunRecord
from orchestrator.service import Orchestrator

BUSY = {agent_type: BusyAgent(agent_type) for agent_type in AGENT_TYPES}


class Service:
    """Orchestrators over the stage; those that are open are closed at the end of the test."""

    def __init__(self, stage: RunStage, opened: AsyncExitStack) -> None:
        self.stage = stage
        self.spending = RecordedSpending()
        self.budget = TokenBudget(stage.store.tokens, 100, self.spending, stage.clock)
        self._opened = opened

    @asynccontextmanager
    async def at_work(
        self, *, runs: Any = None, max_runs_at_once: int = 4, alone: bool = True, **parts: Any
    ) -> AsyncIterator[Orchestrator]:
        """An orchestrator with the stage's agents, or with the parts given, closed at the end."""
        orchestrator = Orchestrator(
            runs or self.stage.store.runs,
            self.stage.store.documents,
            self.stage.publisher,
            self.stage.runner(runs=runs, **parts),
            self.budget,
            max_runs_at_once=max_runs_at_once,
            alone=alone,
        )
        async with orchestrator.at_work():
            yield orchestrator

    async def open(self, **parts: Any) -> Orchestrator:
        """An orchestrator that works until the end of the test."""
        return await self._opened.enter_async_context(self.at_work(**parts))

    async def start(self, orchestrator: Orchestrator, *agents: str, **asked: Any) -> RunRecord:
        """A run of these agents, or of one."""
        options: dict[str, Any] = {
            "agents_selected": agents or (BA,),
            "pipeline_mode": "sequential",
            "run_id": None,
            "started_by": "u1",
            "project_id": self.stage.project_id,
        }
        tenant = asked.pop("tenant", self.stage.tenant)
        return await orchestrator.start_run(tenant, **options | asked)

    async def retry(self, orchestrator: Orchestrator, run: RunRecord, retry_id: str | None = None) -> RunRecord:
        """The run that does that run again, started by ``u2``."""
        return await orchestrator.retry_run(self.stage.tenant, run.id, retry_id=retry_id, started_by="u2")

    async def get(self, run: RunRecord) -> RunRecord:
        """The run as stored."""
        record = await self.stage.store.runs.get_run(self.stage.tenant, run.id)
        assert record is not None
        return record

    async def ended(self, run: RunRecord) -> RunRecord:
        """The run, once its terminal event is published."""
        await self.stage.publisher.until(lambda line: line.payload.get("run_id") == run.id)
        return await self.get(run)


@asynccontextmanager
async def kept(leases: Leases) -> AsyncIterator[None]:
    """While this is open, the leases are looked after."""
    keeping = asyncio.create_task(leases.keep())
    try:
        yield
    finally:
        await cancelled(keeping)


class Away:
    """A run store that answers nobody while ``away``; otherwise it hands everything on to the one behind it."""

    def __init__(self, runs: Any, *, away: bool = False) -> None:
        self.away = away
        self._runs = runs

    def __getattr__(self, name: str) -> Any:
        async def ask(*args: Any, **options: Any) -> Any:
            if self.away:
                raise StoreError("connection refused")
            return await getattr(self._runs, name)(*args, **options)

        return ask
