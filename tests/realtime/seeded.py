"""Runs whose logs the test writes itself, through the store, as the orchestrator's recorder would."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from live import LiveServer
from store_material import accept_claimed

from orchestrator.events import Fact, RunEnded, StepRunning
from orchestrator.pipeline import PipelineMode
from orchestrator.records import NewRun, SavedEvent
from realtime.events import Event, RunKey

AGENT = "ba_consultant"


class SeededRun:
    """A run with one step that no worker carries out."""

    def __init__(self, server: LiveServer, run: NewRun) -> None:
        self.id = run.id
        self.key = RunKey(server.home.user.tenant, run.id)
        self.step_id = run.step_ids[0]
        self._server = server
        self.token = uuid4().hex

    async def save(self, *facts: Fact) -> Sequence[SavedEvent]:
        """Append to the log; nothing is published."""
        return await self._server.home.store.runs.save(self.key.tenant, self.id, self.token, facts)

    def publish(self, events: Sequence[SavedEvent]) -> None:
        """Tell viewers of saved events."""
        made = [Event(self.id, event.id, event.type, event.payload) for event in events]
        self._server.home.backend.broadcaster.publish(self.key, made)

    async def progress(self, *labels: str, publish: bool = True) -> None:
        """Save, and publish, one ``running`` event for each label."""
        saved = await self.save(*[self.running(label) for label in labels])
        if publish:
            self.publish(saved)

    async def finish(self) -> None:
        """Save and publish the end of the run (a failure: its step never completed)."""
        self.publish(await self.save(RunEnded.failure(self.id, "INTERRUPTED", "the test ended it")))

    def running(self, label: str) -> StepRunning:
        """One ``running`` event of the run's step."""
        return StepRunning(step_id=self.step_id, agent_type=AGENT, progress_pct=1, progress_label=label, attempt=1)


async def seed_run(server: LiveServer, project_id: str | None = None) -> SeededRun:
    """A run that was accepted, in the local project or another: its log has one ``queued`` event."""
    run = NewRun(
        id=str(uuid4()),
        project_id=project_id or server.home.project_id,
        pipeline_mode=PipelineMode.SEQUENTIAL,
        agents_selected=(AGENT,),
        step_ids=(str(uuid4()),),
        started_by=server.home.user.id,
    )
    seeded = SeededRun(server, run)
    await accept_claimed(server.home.store, server.home.user.tenant, run, seeded.token)
    return seeded


async def all_gone(server: LiveServer) -> None:
    """Return when the server has let go of every connection and subscription."""
    broadcaster = server.home.backend.broadcaster
    async with asyncio.timeout(30):
        while broadcaster.viewers or broadcaster.guests:
            await asyncio.sleep(0.002)
