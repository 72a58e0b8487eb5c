"""Which runs this process carries out, and when: those given to it, and those that nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import structlog

from orchestrator.errors import StoreError
from orchestrator.ports import RunStore
from orchestrator.records import Claim
from orchestrator.retry import STORE_RETRY_S
from orchestrator.runner import Runner
from orchestrator.slots import Slots

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")

OUTAGE_CHECK_S = 2.0
"""How often a store that answers nobody is asked again."""

SEEK_S = 1.0
"""How often a process with room looks for runs that nobody claims, give or take a fifth."""

CLOSE_S = 2.0
"""How long runs have for being handed back."""


class Dispatcher:
    """Carries out runs, ``max_runs_at_once`` at a time; the rest stay queued, and tenants have their turns.

    ``alone``: no other process works on this store, so whoever had claimed its unfinished runs is gone, and they are
    all taken at the start. Otherwise a process takes no more than it has room for and leaves the rest to whoever has
    some: the oldest first, so that a run whose worker was lost does not wait behind those that nobody began.
    """

    def __init__(self, runs: RunStore, runner: Runner, *, max_runs_at_once: int, alone: bool) -> None:
        self._runs = runs
        self._runner = runner
        self._alone = alone
        self._most = max_runs_at_once
        self._slots = Slots(max_runs_at_once)
        self._at_work: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def resume(self) -> int:
        """Take up every run that has not ended; where others work, too, what is free, as far as there is room.

        Returns how many those are.
        """
        if not self._alone and not self._has_room:
            return 0
        found = await (self._runs.unfinished_runs() if self._alone else self._runs.free_runs())
        before = len(self._at_work)
        for tenant, run_id in found if self._alone else self._in_turn(found):
            self.dispatch(tenant, run_id)
        return len(self._at_work) - before

    async def seek(self) -> None:
        """Take up what is free as long as there is room, until cancelled. Returns at once where there is no other.

        After an outage of the store, those who hold claims get the time to renew them first.
        """
        while not self._alone:
            await self._runner.clock.sleep(random.uniform(0.8, 1.2) * SEEK_S)  # noqa: S311  # no secret
            try:
                await self.resume()
            except StoreError as error:
                _log.warning("free runs cannot be looked for", reason=str(error))
                await self._outlast_outage()
                await self._runner.clock.sleep(self._runner.leases.lease_s)
            except Exception:
                _log.exception("free runs cannot be looked for")

    def dispatch(self, tenant: str, run_id: str) -> None:
        """Begin the run when there is room, in a context of its own: it outlives the request that asked for it.

        Where others work, too, and there is no room, it is left to whoever has some first.
        """
        key = (tenant, run_id)
        if self._closed or key in self._at_work or not (self._alone or self._has_room):
            return
        context = contextvars.Context()
        context.run(structlog.contextvars.bind_contextvars, tenant=tenant, run_id=run_id)
        self._at_work[key] = context.run(self.spawn, self._work_and_go_on(tenant, run_id))

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

    @property
    def _has_room(self) -> bool:
        return len(self._at_work) < self._most

    def _in_turn(self, found: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Of these runs, as many as there is room for: tenants in turn, and each tenant's in order."""
        at_work = Counter(tenant for tenant, _ in self._at_work)
        left = [key for key in found if key not in self._at_work]
        while left and sum(at_work.values()) < self._most:
            tenant, run_id = min(left, key=lambda key: at_work[key[0]])  # the first of equals
            left.remove((tenant, run_id))
            at_work[tenant] += 1
            yield tenant, run_id

    async def _work_and_go_on(self, tenant: str, run_id: str) -> None:
        """Carry the run to its end, then look at once for another in its place."""
        try:
            had_it = await self._work(tenant, run_id)
        finally:
            del self._at_work[tenant, run_id]
        if had_it and not self._alone and not self._closed:
            with contextlib.suppress(StoreError):  # `seek` comes again
                await self.resume()

    async def _work(self, tenant: str, run_id: str) -> bool:
        """Carry the run to its end. False: another had it. What the store refuses is tried again as the log stands.

        A run that cannot be kept by a store that answers is given up; one that answers nobody is waited for.
        """
        claim = Claim(tenant, run_id, uuid4().hex)
        refusals = 0
        while True:
            try:
                async with self._slots.place(tenant):
                    if refusals < len(STORE_RETRY_S):
                        return await self._runner.run(claim, seize=self._alone)
                    return await self._runner.give_up(claim, "The run could not be kept.", seize=self._alone)
            except StoreError as error:
                _log.warning("run not finished, trying again", run_id=run_id, reason=str(error))
            except Exception:
                _log.exception("run not finished, trying again", run_id=run_id)
            if self._closed:  # steps side by side, of which one fails, keep a cancellation to themselves
                await self._runner.hand_back(claim)
                return False
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
