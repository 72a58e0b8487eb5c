"""Agents that block threads, all that there are, take no claim from a worker that lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

from run_stage import BA, RunStage, Through, finished
from service_stage import kept

from orchestrator.clock import SystemClock
from orchestrator.lease import Leases
from orchestrator.records import Claim

LEASE_S = 0.6
MORE_THAN_ALL_THREADS = 100
"""asyncio's own executor has 32 at most."""


class Renewals(Through):
    """Counts the renewals after which a claim held; says when there were enough to outlast the first lease."""

    def __init__(self, stage: RunStage) -> None:
        super().__init__(stage.store.runs)
        self.outlasted = asyncio.Event()
        self._count = 0

    async def renew_claims(self, tenant: str, tokens: Mapping[str, str], lease_s: float) -> frozenset[str]:
        held: frozenset[str] = await self.store.renew_claims(tenant, tokens, lease_s)
        self._count += len(held)
        if self._count > 5:
            self.outlasted.set()
        return held


async def test_agents_that_block_every_thread_do_not_starve_the_lease(stage: RunStage) -> None:
    """With all threads blocked for longer than a lease, the claim is renewed, and nobody else can have the run."""
    renewals, let_go = Renewals(stage), threading.Event()
    leases = Leases(renewals, SystemClock(), LEASE_S)
    run = await stage.accept(BA)
    assert await stage.store.runs.claim_run(stage.tenant, run.id, "mine", LEASE_S) is not None

    async def work() -> None:
        with leases.held(Claim(stage.tenant, run.id, "mine")):
            await asyncio.gather(*(asyncio.to_thread(let_go.wait) for _ in range(MORE_THAN_ALL_THREADS)))

    working = asyncio.create_task(work())
    try:
        async with kept(leases), asyncio.timeout(20):
            await renewals.outlasted.wait()
            assert await stage.store.runs.claim_run(stage.tenant, run.id, "other", LEASE_S) is None
    finally:
        let_go.set()
        await finished(working)
