"""Runcast itself, offline, on a temporary home in SQLite: real runs, real endpoints, nothing saved when measured.

Options: ``runs``; ``outlet`` (direct or asgi); ``saved`` events in the log of each run; ``published``: those are in
the server's memory, too; ``settings`` that are not as they come.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop
from line_protocol import obey, options, tell, versions_of

from orchestrator.events import StepRunning
from orchestrator.pipeline import PipelineMode
from orchestrator.records import NewRun, SavedEvent
from realtime.events import Event, RunKey
from realtime.peer import Peer
from realtime.server import serve, spare_collector
from realtime.settings import Settings
from realtime.wiring import Home

AGENT = "ba_consultant"
LABEL = "Reading docs/requirements.md ({} of 40), as what was saved before the viewer came says it, at some length"


def use_asgi_outlet() -> None:
    """Have every connection served by the portable outlet, as on HTTP/2 or under another server."""
    Peer.writer = None  # type: ignore[method-assign, assignment]  # nobody can write to it directly


class SeededRun:
    """A run in the store that nobody carries out, and how far its log goes."""

    def __init__(self, home: Home) -> None:
        self.id = str(uuid4())
        self.key = RunKey(home.user.tenant, self.id)
        self.head = 1
        self._home = home
        self._step_id = str(uuid4())
        self._token = uuid4().hex

    async def accept(self) -> None:
        """Make it; its log has one event."""
        run = NewRun(
            id=self.id,
            project_id=self._home.project_id,
            pipeline_mode=PipelineMode.SEQUENTIAL,
            agents_selected=(AGENT,),
            step_ids=(self._step_id,),
            started_by=self._home.user.id,
        )
        await self._home.store.runs.accept_run(self.key.tenant, run)
        await self._home.store.runs.claim_run(self.key.tenant, self.id, self._token)

    async def save(self, count: int) -> None:
        """Append so many events to the log."""
        facts = [
            StepRunning(
                step_id=self._step_id,
                agent_type=AGENT,
                progress_pct=100 * number // count,
                progress_label=LABEL.format(number),
                attempt=1,
            )
            for number in range(count)
        ]
        await self._home.store.runs.save(self.key.tenant, self.id, self._token, facts)
        self.head += count

    async def publish_saved(self) -> None:
        """Tell the server of everything in the log, as the one who saves does."""
        saved = await self._home.store.runs.read_events(self.key.tenant, self.id, 0, self.head)
        self._home.backend.broadcaster.publish(self.key, list(map(self._event, saved)))

    def publish(self, content: str) -> None:
        """Tell viewers of one more event, without saving it."""
        self.head += 1
        self._home.backend.broadcaster.publish(self.key, [Event(self.id, self.head, "running", content)])

    def _event(self, saved: SavedEvent) -> Event:
        return Event(self.id, saved.id, saved.type, saved.payload)


async def seed(home: Home, count: int, saved: int, published: bool) -> list[SeededRun]:
    """So many runs."""
    runs = [SeededRun(home) for _ in range(count)]
    for run in runs:
        await run.accept()
        if saved:
            await run.save(saved)
        if published:
            await run.publish_saved()
    return runs


async def main(chosen: dict[str, Any]) -> None:
    """Serve until stdin ends."""
    if chosen["outlet"] == "asgi":
        use_asgi_outlet()
    stop = asyncio.Event()
    listening: asyncio.Future[tuple[str, Home]] = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as directory:
        serving = asyncio.create_task(
            serve(
                Settings(port=0, home=Path(directory), log_level="error", **chosen.get("settings", {})),
                ready=lambda url, home: listening.set_result((url, home)),
                stop=stop,
            )
        )
        either: tuple[asyncio.Future[Any], ...] = (serving, listening)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        url, home = listening.result()
        spare_collector()
        runs = await seed(home, chosen["runs"], chosen.get("saved", 0), chosen.get("published", False))
        tell(
            port=urlsplit(url).port,
            versions=versions_of("runcast", "quart", "hypercorn", "uvloop"),
            runs=[run.id for run in runs],
            heads=[run.head for run in runs],
            token=home.issue_token(),
        )
        try:
            await obey(lambda run, content: runs[run].publish(content))
        finally:
            stop.set()
            await serving


if __name__ == "__main__":
    for name in [name for name in os.environ if name.startswith("RUNCAST_")]:
        del os.environ[name]  # measured as it comes
    uvloop.run(main(options()))
