"""The claims that this process holds: renewed while it works, and work on a run stops once its claim is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from orchestrator.errors import ClaimLostError, StoreError
from orchestrator.ports import LEASE_S, Clock, RunStore
from orchestrator.records import Claim

_log = structlog.get_logger(__name__)

RENEWALS_PER_LEASE = 10 / 3
"""A lease of 10 s is renewed every 3 s: two renewals may fail before it lapses."""

LOOK_S = 1.0
"""How often a worker looks whether its claims still are its own, so that a cancelled agent stops soon."""


class _Holding:
    """A claim, and the task whose work depends on it."""

    def __init__(self, claim: Claim, task: asyncio.Task[Any]) -> None:
        self.claim = claim
        self.lost = False
        self._cancelling = task.cancelling()
        self._task = task

    @property
    def is_cancelled_only_here(self) -> bool:
        """True where the claim was lost, and nobody else has cancelled the task since."""
        return self.lost and self._task.cancelling() - 1 <= self._cancelling

    def lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._task.cancel()

    def leave(self) -> None:
        """The work is over: take back the cancellation that came from here."""
        if self.lost:
            self._task.uncancel()


class Leases:
    """Every claim of this process. `keep` renews them all, so that no agent's work can hold that up.

    ``lease_s`` is how long a claim lasts after its last renewal, by the store's clock.
    """

    def __init__(self, runs: RunStore, clock: Clock, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self._runs = runs
        self._clock = clock
        self._held: dict[tuple[str, str], _Holding] = {}
        self._in_doubt: set[str] = set()
        """Tenants whose claims could not be asked for the last time, which is told once."""
        self._looks: dict[str, asyncio.Task[None]] = {}
        """Looks at a tenant's claims that are under way."""

    @contextmanager
    def held(self, claim: Claim) -> Iterator[None]:
        """Have the claim renewed while this is open; if it is lost, the body is cancelled.

        Raises:
            ClaimLostError: it was lost.

        """
        task = asyncio.current_task()
        assert task is not None, "a claim is held by a task"  # noqa: S101
        holding = self._held[claim.tenant, claim.run_id] = _Holding(claim, task)
        try:
            yield
        except asyncio.CancelledError:
            if holding.is_cancelled_only_here:
                raise ClaimLostError(f"Run {claim.run_id!r} is claimed by another worker.") from None
            raise
        finally:
            holding.leave()
            del self._held[claim.tenant, claim.run_id]

    def lose(self, tenant: str, run_id: str) -> None:
        """Stop the work on this run, if any is done here: its claim is known to be another's."""
        holding = self._held.get((tenant, run_id))
        if holding is not None:
            holding.lose()

    async def keep(self) -> None:
        """Renew what is held, and look for what is lost in between, until cancelled."""
        renewed = self._clock.monotonic()
        try:
            while True:
                await self._clock.sleep(min(LOOK_S, self.lease_s / RENEWALS_PER_LEASE))
                due = self._clock.monotonic() - renewed >= self.lease_s / RENEWALS_PER_LEASE - LOOK_S / 2
                if due:
                    renewed = self._clock.monotonic()
                await self._look(renew=due)
        finally:
            looks = list(self._looks.values())
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _look(self, *, renew: bool) -> None:
        """Look at each tenant's claims; what stands in the way of one tenant's holds up no other's for long."""
        by_tenant: dict[str, dict[str, str]] = {}
        for holding in self._held.values():
            by_tenant.setdefault(holding.claim.tenant, {})[holding.claim.run_id] = holding.claim.token
        for tenant, tokens in by_tenant.items():
            if tenant not in self._looks:
                self._looks[tenant] = asyncio.create_task(self._look_at(tenant, tokens, renew=renew))
        if self._looks:
            await asyncio.wait(self._looks.values(), timeout=LOOK_S)
        self._looks = {tenant: look for tenant, look in self._looks.items() if not look.done()}

    async def _look_at(self, tenant: str, tokens: dict[str, str], *, renew: bool) -> None:
        """Renew the claims, or only ask for them. While the store does not answer, work goes on: its writes wait."""
        try:
            still = await (
                self._runs.renew_claims(tenant, tokens, self.lease_s)
                if renew
                else self._runs.held_claims(tenant, tokens)
            )
        except StoreError as error:
            if tenant not in self._in_doubt:
                _log.warning("claims cannot be renewed", tenant=tenant, reason=str(error))
            self._in_doubt.add(tenant)
        except Exception:
            _log.exception("claims cannot be renewed", tenant=tenant)
        else:
            self._in_doubt.discard(tenant)
            self._lose_all(tenant, {run_id: tokens[run_id] for run_id in tokens.keys() - still})

    def _lose_all(self, tenant: str, tokens: dict[str, str]) -> None:
        for run_id, token in tokens.items():
            holding = self._held.get((tenant, run_id))
            if holding is not None and holding.claim.token == token:
                holding.lose()
