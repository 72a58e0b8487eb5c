"""Kills servers at random moments and starts them again at once, without ever giving a healthy run up.

A run is given up when it is taken over for the fourth time without a step completing in between. So nothing may
happen to a server while a run has been taken over three times already; `Killer` waits until that run has completed a
step. That it looks for in the database, just before each kill: between this look and the kill a count can grow only
if the run's claim is older than the server that was last started, and for such a run one more is allowed for. With
one server this makes INTERRUPTED impossible, not only unlikely: whatever is interrupted all the same is a mistake.

Of several servers, some are frozen for longer than their leases last, too, which the others take for their death.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Collection, Sequence
from datetime import datetime

from records import CLAIMED, RUNS, STEPS, Records, Row
from server import Server

from orchestrator.pipeline import AGENT_TYPES
from orchestrator.runner import MOST_TAKEOVERS

AT_START = 0.25
"""The share of kills that come while the server starts, before or while it takes its runs over."""

HOLD_BACK = 0.9
"""Runs are kept so far behind the kills that there still are some for the last one."""

FREEZING = 0.4
"""The share of troubles that are no kills, where there are several servers."""

LOOK_S = 0.05
LONGEST_STEP_S = 60.0


class StuckError(Exception):
    """No step completes."""


class Killer:
    """Kills ``servers``; ``kills`` and ``freezes`` count how often that met runs that had not ended.

    ``step_s``: how long a step takes at least. Where runs are ahead of the kills that are to come, servers work on
    one at a time and are killed sooner than that, so that runs last; otherwise they work on several, for as long as a
    lease and one step take, or half a step more. ``lease_s``: after which others take a run; 0: there are none.
    """

    def __init__(
        self, servers: Sequence[Server], records: Records, draw: random.Random, *, step_s: float, lease_s: float
    ) -> None:
        self.kills = 0
        self.freezes = 0
        self._servers = servers
        self._records = records
        self._draw = draw
        self._step_s = step_s
        self._lease_s = lease_s
        self._start_s = 0.5
        self._share_done = 0.0
        self._is_ahead = False
        self._since = datetime.min
        self._killed = asyncio.Condition()

    async def until(self, kills: int) -> None:
        """Return when there were so many."""
        async with self._killed:
            await self._killed.wait_for(lambda: self.kills >= kills)

    async def kill(self, run_ids: Collection[str], times: int) -> None:
        """Kill a server ``times`` times, or until all the runs have ended; then leave all running."""
        for server in self._servers:
            await self._start(server)
        while self.kills < times:
            victim = self._draw.choice(self._servers)
            self._is_ahead = self._share_done > HOLD_BACK * self.kills / times
            await self._moment(victim)
            if not await self._may_kill(run_ids):
                return
            is_last = self.kills == times - 1
            if len(self._servers) > 1 and not is_last and self._draw.random() < FREEZING:
                await self._freeze(victim)
            else:
                await victim.kill()
                await self._start(victim)
                await self._count()

    async def _count(self) -> None:
        async with self._killed:
            self.kills += 1
            self._killed.notify_all()

    async def _start(self, server: Server) -> None:
        self._since = await self._records.now()
        await server.start(max_runs_at_once=1 if self._is_ahead else self._draw.choice((2, 3)))

    async def _freeze(self, server: Server) -> None:
        """Let the server stand still for longer than its claims last, or nearly so long."""
        server.freeze()
        self.freezes += 1
        await asyncio.sleep(self._lease_s * self._draw.uniform(0.5, 2))
        self._since = await self._records.now()
        server.thaw()

    async def _moment(self, server: Server) -> None:
        """Wait for a moment, drawn from those while it starts, or those while it works."""
        if self._draw.random() < AT_START:
            await asyncio.sleep(self._draw.uniform(0, self._start_s))
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        await server.ready()
        self._start_s = max(0.5, loop.time() - began)
        longest_s = 0.9 * self._step_s if self._is_ahead else self._lease_s + 1.5 * self._step_s
        await asyncio.sleep(self._draw.uniform(0, longest_s))

    async def _may_kill(self, run_ids: Collection[str]) -> bool:
        """Wait until a kill gives no run up. False: there is none left to be killed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STEP_S):
                while True:
                    for server in self._servers:
                        server.check()
                    if await self._have_ended(run_ids):
                        return False
                    claimed = await self._records.read(CLAIMED)
                    if all(self._next_takeovers(run) <= MOST_TAKEOVERS for run in claimed):
                        return True
                    await asyncio.sleep(LOOK_S)
        raise StuckError(f"no step completed for {LONGEST_STEP_S:g} s in runs that were taken over: {claimed}")

    def _next_takeovers(self, run: Row) -> int:
        """How often the run will have been taken over, at most, when somebody claims it after the next kill."""
        is_held_now = datetime.fromisoformat(run["heartbeat_at"]) >= self._since
        return int(run["takeovers"]) + (1 if is_held_now else 2)

    async def _have_ended(self, run_ids: Collection[str]) -> bool:
        """Look how far the runs are."""
        steps = [step["status"] for step in await self._records.read(STEPS) if step["run_id"] in run_ids]
        self._share_done = steps.count("completed") / (len(run_ids) * len(AGENT_TYPES))
        ended = [run["id"] for run in await self._records.read(RUNS) if run["ended_at"] is not None]
        return set(run_ids) <= set(ended)
