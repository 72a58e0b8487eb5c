"""Kills a server at random moments and starts it again at once, without ever giving a healthy run up.

A run is given up when it is taken over for the fourth time without a step completing in between. So no kill may come
while a run has been taken over three times already; `Killer` waits with it until that run has completed a step. That
it looks for in the database, just before each kill: between this look and the kill a count can grow only if the run's
claim is not of this server yet, and for such a run one more is allowed for. This makes INTERRUPTED impossible, not
only unlikely; whatever is interrupted all the same is a mistake of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Collection
from datetime import datetime

from records import CLAIMED, RUNS, STEPS, Records, Row
from server import Server

from orchestrator.pipeline import AGENT_TYPES
from orchestrator.runner import MOST_TAKEOVERS

AT_START = 0.25
"""The share of kills that come while the server starts, before or while it takes its runs over."""

HOLD_BACK = 0.9
"""Runs are kept so far behind the kills that there still are some for the last one."""

LOOK_S = 0.05
LONGEST_STEP_S = 60.0


class StuckError(Exception):
    """No step completes."""


class Killer:
    """Kills ``server``; ``kills`` counts how often that met runs that had not ended.

    ``step_s``: how long a step takes at least. Where runs are ahead of the kills that are to come, the server works
    on one at a time and is killed sooner than that, so that they last; otherwise it works on several, for as long as
    ``wait_s`` and two or three steps take.
    """

    def __init__(
        self, server: Server, records: Records, draw: random.Random, *, step_s: float, wait_s: float
    ) -> None:
        self.kills = 0
        self._server = server
        self._records = records
        self._draw = draw
        self._step_s = step_s
        self._wait_s = wait_s
        self._start_s = 0.5
        self._share_done = 0.0

    async def kill(self, run_ids: Collection[str], times: int) -> None:
        """Kill the server ``times`` times, or until all the runs have ended; then leave it running."""
        while True:
            is_ahead = self._share_done > HOLD_BACK * self.kills / times
            started_at = await self._records.now()
            await self._server.start(max_runs_at_once=1 if is_ahead else self._draw.choice((2, 3)))
            if self.kills == times:
                return
            await self._moment(is_ahead=is_ahead)
            if not await self._may_kill(run_ids, started_at):
                return
            await self._server.kill()
            self.kills += 1

    async def _moment(self, *, is_ahead: bool) -> None:
        """Wait for a moment, drawn from those while the server starts, or those while it works."""
        if self._draw.random() < AT_START:
            await asyncio.sleep(self._draw.uniform(0, self._start_s))
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._server.ready()
        self._start_s = loop.time() - began
        await asyncio.sleep(
            self._draw.uniform(0, 0.9 * self._step_s if is_ahead else self._wait_s + 2.5 * self._step_s)
        )

    async def _may_kill(self, run_ids: Collection[str], started_at: datetime) -> bool:
        """Wait until a kill gives no run up. False: there is none left to be killed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STEP_S):
                while True:
                    self._server.check()
                    if await self._have_ended(run_ids):
                        return False
                    claimed = await self._records.read(CLAIMED)
                    if all(_next_takeovers(run, started_at) <= MOST_TAKEOVERS for run in claimed):
                        return True
                    await asyncio.sleep(LOOK_S)
        raise StuckError(f"no step completed for {LONGEST_STEP_S:g} s in runs that were taken over: {claimed}")

    async def _have_ended(self, run_ids: Collection[str]) -> bool:
        """Look how far the runs are."""
        steps = [step["status"] for step in await self._records.read(STEPS) if step["run_id"] in run_ids]
        self._share_done = steps.count("completed") / (len(run_ids) * len(AGENT_TYPES))
        ended = [run["id"] for run in await self._records.read(RUNS) if run["ended_at"] is not None]
        return set(run_ids) <= set(ended)


def _next_takeovers(run: Row, started_at: datetime) -> int:
    """How often the run will have been taken over, at most, once the server after the killed one claims it."""
    is_of_this_server = datetime.fromisoformat(run["heartbeat_at"]) >= started_at
    return int(run["takeovers"]) + (1 if is_of_this_server else 2)
