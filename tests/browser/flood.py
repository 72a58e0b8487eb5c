"""More events of one run than its agents would make, to see what a page does with them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from live_server import LiveServer

from realtime.events import Event, EventType, RunKey

Fact = tuple[EventType, dict[str, Any]]


class Flood:
    """Publishes to those who watch a run whose agents stand still; nothing of it is kept.

    Each step goes through every state that a card draws, again and again: running, waiting, stalled, complete, error.
    """

    def __init__(self, server: LiveServer, run_id: str) -> None:
        self._server = server
        self._key = RunKey(server.home.user.tenant, run_id)
        run = server.call(server.home.backend.runs.get_run(self._key))
        assert run is not None
        self.head = run.last_event_id
        self._facts = self._turns([{"step_id": step.id, "agent_type": step.agent_type} for step in run.steps])

    def send(self, count: int, *, per_s: float = 1000.0, at_once: int = 1) -> None:
        """Publish ``count`` more, ``at_once`` together, evenly at this rate; return when all are out."""
        self._server.call(self._publish(count, at_once, at_once / per_s))

    async def _publish(self, count: int, at_once: int, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(0, count, at_once):
            events = [self._next() for _ in range(at_once)]
            self._server.home.backend.broadcaster.publish(self._key, events)
            due += every_s
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _next(self) -> Event:
        self.head += 1
        kind, payload = next(self._facts)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Event(self._key.run_id, self.head, kind, json.dumps({**payload, "at": at}))

    def _turns(self, steps: list[dict[str, Any]]) -> Iterator[Fact]:
        for turn in itertools.count(1):
            for about in steps:
                for percent in range(0, 100, 10):
                    progress = {
                        "progress_pct": percent,
                        "progress_label": f"Reading file {turn * percent}",
                        "attempt": 1,
                    }
                    yield EventType.RUNNING, {**about, **progress}
                still = {**about, "progress_pct": 90, "progress_label": "Waiting for the model", "attempt": 1}
                yield EventType.RUNNING, {**still, "retry_at": "2099-01-01T00:00:00.000Z", "reason": "no answer"}
                yield EventType.RUNNING, {**still, "stalled": True}
                yield (
                    EventType.COMPLETE,
                    {**about, "tokens_used": 100 * turn, "artifact_id": None, "cached": turn % 2 == 0},
                )
                yield EventType.ERROR, {**about, "error_code": "STEP_FAILED", "message": f"Failed for time {turn}"}
