"""Which runs this process carries out, and when: those given to it, and those that nobody else does."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import uuid4

import structlog

from orchestrator.errors import StoreError
from orchestrator.ports import RunStore
from orchestrator.records import Claim
from orchestrator.runner import Runner
from orchestrator.slots import Slots

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")

STORE_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""Waits before a run is taken up again that the store refused; after the last it is given up once that works."""

OUTAGE_CHECK_S = 2.0
"""How often a store that answers nobody is asked again."""

SEEK_S = 1.0
"""How often a process with room looks for runs that nobody claims, give or take a fifth."""

CLOSE_S = 2.0
"""How long runs have for being handed back."""


class Dispatcher:
    """Carries out runs, ``max_runs_at_once`` at a time; the rest stay queued, and tenants have their turns.

    ``alone``: no other process works on this store, so whoever had claimed its unfinished runs is gone, and they are
    all taken at the start. Otherwise, `seek` finds what lapsed or was never claimed.
    """

    def __init__(self, runs: RunStore, runner: Runner, *, max_runs_at_once: int, alone: bool) -> None:
        self._runs = runs
        self._runner = runner
        self._alone = alone
        self._slots = Slots(max_runs_at_once)
        self._at_work: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def resume(self) -> int:
        """Take over every run that has not ended, or is free where others work, too; how many those are."""
        found = await (self._runs.unfinished_runs() if self._alone else self._runs.free_runs())
        for tenant, run_id in found:
            self.dispatch(tenant, run_id)
        return len(found)

    async def seek(self) -> None:
        """Take up what is free as long as there is room, until cancelled. Returns at once where there is no other.

        After an outage of the store, those who hold claims get the time to renew them first.
        """
        while not self._alone:
            await self._runner.clock.sleep(random.uniform(0.8, 1.2) * SEEK_S)  # noqa: S311  # no secret
            if self._slots.is_full:
                continue
            try:
                await self.resume()
            except StoreError as error:
                _log.warning("free runs cannot be looked for", reason=str(error))
                await self._outlast_outage()
                await self._runner.clock.sleep(self._runner.leases.lease_s)
            except Exception:
                _log.exception("free runs cannot be looked for")

    def dispatch(self, tenant: str, run_id: str) -> None:
        """Begin the run when there is room, in a context of its own: it outlives the request that asked for it."""
        key = (tenant, run_id)
        if self._closed or key in self._at_work:
            return
        context = contextvars.Context()
        context.run(structlog.contextvars.bind_contextvars, tenant=tenant, run_id=run_id)
        task = self._at_work[key] = context.run(self.spawn, self._work(tenant, run_id))
        task.add_done_callback(lambda _: self._at_work.pop(key))

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Do ``work`` in a task that `close` ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop working. Runs under way are handed back as their logs say, for anybody to take up at once.

        What has not stopped after `CLOSE_S`, as where the store is silent, is left; its leases lapse.
        """
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def _work(self, tenant: str, run_id: str) -> None:
        """Carry the run to its end. What the store refuses is tried again from where the log then stands.

        A run that cannot be kept by a store that answers is given up; one that answers nobody is waited for.
        """
        claim = Claim(tenant, run_id, uuid4().hex)
        refusals = 0
        while True:
            try:
                async with self._slots.place(tenant):
                    if refusals < len(STORE_RETRY_S):
                        await self._runner.run(claim, seize=self._alone)
                    else:
                        await self._runner.give_up(claim, "The run could not be kept.", seize=self._alone)
            except StoreError as error:
                _log.warning("run not finished, trying again", run_id=run_id, reason=str(error))
            except Exception:
                _log.exception("run not finished, trying again", run_id=run_id)
            else:
                return
            if self._closed:  # steps side by side, of which one fails, keep a cancellation to themselves
                await self._runner.hand_back(claim)
                return
            try:
                refusals += await self._pause(STORE_RETRY_S[min(refusals, len(STORE_RETRY_S) - 1)])
            except asyncio.CancelledError:
                await self._runner.hand_back(claim)
                raise

    async def _pause(self, delay_s: float) -> bool:
        """Wait for so long, and until the store answers. True: it did so at once, what it refuses is this run."""
        await self._runner.clock.sleep(delay_s)
        answered = await self._answers()
        if not answered:
            await self._outlast_outage()
        return answered

    async def _outlast_outage(self) -> None:
        while not await self._answers():
            await self._runner.clock.sleep(OUTAGE_CHECK_S)

    async def _answers(self) -> bool:
        try:
            await self._runs.ping()
        except StoreError:
            return False
        return True
