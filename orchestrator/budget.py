"""What a tenant may spend on language models in a calendar month (UTC): no call begins without tokens put aside."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import msgspec
import structlog

from orchestrator.context import estimated_tokens, request_tokens
from orchestrator.errors import BudgetExceededError, StoreError, TokensReservedError
from orchestrator.ports import Clock, LanguageModel, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from orchestrator.records import Claim
from orchestrator.spending import MonthUsage, Reservation, SpendingObserver, TokenStore

_log = structlog.get_logger(__name__)

WAIT_S = 2.0
"""How often a call asks again for tokens that others have put aside."""

MOST_WAITS = 60
"""Two minutes: as long as most answers take, while a place among the runs at work is held."""


class TokenBudget:
    """One ``limit`` of tokens per month for each tenant, kept in the store; None: all is counted and none refused."""

    def __init__(self, tokens: TokenStore, limit: int | None, observer: SpendingObserver, clock: Clock) -> None:
        self.limit = limit
        self.clock = clock
        self._tokens = tokens
        self._observer = observer
        self._warned: dict[str, str] = {}
        """The month for which a tenant's warning was logged."""

    async def usage(self, tenant: str) -> MonthUsage:
        """What the tenant has spent and put aside in this month."""
        usage = await self._tokens.usage(tenant)
        self._look_at(tenant, usage)
        return usage

    async def check(self, tenant: str) -> None:
        """Let whoever may still spend something begin a run.

        Raises:
            BudgetExceededError: this month's tokens are spent.

        """
        usage = await self.usage(tenant)
        try:
            usage.check_spent(self.limit)
        except BudgetExceededError:
            self._observer.refused()
            raise

    async def reserve(self, claim: Claim, tokens: int) -> Reservation:
        """Put tokens aside for a call; see `orchestrator.spending.TokenStore.reserve`.

        Raises:
            TokensReservedError: nothing is left before a call that is under way ends.
            BudgetExceededError: nothing is left.
            ClaimLostError: the run has ended or is another worker's now.

        """
        try:
            reservation = await self._tokens.reserve(claim, tokens, self.limit)
        except TokensReservedError:
            raise
        except BudgetExceededError:
            self._observer.refused()
            with suppress(StoreError):
                await self.usage(claim.tenant)
            raise
        self._look_at(claim.tenant, reservation.usage)
        return reservation

    async def settle(self, tenant: str, reservation: Reservation, agent_type: str, tokens: int) -> None:
        """Count what the call took. Where the store fails, all that it put aside will be counted, later."""
        self._observer.spent(agent_type, tokens)
        try:
            usage = await self._tokens.settle(tenant, reservation.id, tokens)
        except StoreError as error:
            _log.warning("tokens stay put aside", tokens=reservation.tokens, used=tokens, reason=str(error))
            return
        if usage is not None:
            self._look_at(tenant, usage)

    def _look_at(self, tenant: str, usage: MonthUsage) -> None:
        if self.limit is None:
            return
        self._observer.used(tenant, usage.month, usage.share(self.limit))
        if usage.is_warning(self.limit) and self._warned.get(tenant) != usage.month:
            self._warned[tenant] = usage.month
            self._observer.warned()
            figures = msgspec.structs.asdict(usage)
            _log.warning("most of a month's tokens are used", tenant=tenant, limit=self.limit, **figures)


class BudgetedModel:
    """A language model for the calls of one claimed run: each has tokens put aside, and what it took is counted."""

    def __init__(self, model: LanguageModel, budget: TokenBudget, claim: Claim) -> None:
        self._model = model
        self._budget = budget
        self._claim = claim

    @property
    def name(self) -> str:
        """The name of the model behind it."""
        return self._model.name

    def estimate(self, request: ModelRequest) -> int:
        """What the model behind it says."""
        return self._model.estimate(request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """The model's answer; where most of the month's tokens are used, all its progress says so.

        Where others have put aside what is left, it waits for them, and says so, for some minutes. What it took is
        counted however it ends, also when it is cancelled.

        Raises:
            BudgetExceededError: the tenant has no tokens left; nothing was asked.
            ClaimLostError: the run has ended or is another worker's now; nothing was asked.
            ModelError: the model failed.

        """
        meter = _Meter(request)
        reserving = self._reserve(request)
        waits = itertools.count(1)
        try:
            while not await _is_reserved(reserving, last=next(waits) > MOST_WAITS):
                yield ModelProgress(0, "Waiting: what is left of this month's tokens is put aside by other calls")
                await self._budget.clock.sleep(WAIT_S)
                reserving = self._reserve(request)
            note = self._note(reserving.result().usage)
            if note:
                yield ModelProgress(0, f"Asking {self.name}{note}")
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    meter.count(chunk)
                    yield _noted(chunk, note)
        finally:
            await asyncio.shield(asyncio.create_task(self._settle(reserving, meter)))

    def _reserve(self, request: ModelRequest) -> asyncio.Task[Reservation]:
        return asyncio.create_task(self._budget.reserve(self._claim, self.estimate(request)))

    async def _settle(self, reserving: asyncio.Task[Reservation], meter: _Meter) -> None:
        """Settle what was put aside, if it was: a cancelled call may be left while it is."""
        await asyncio.wait({reserving})
        if not reserving.cancelled() and reserving.exception() is None:
            agent_type = meter.request.agent_type
            await self._budget.settle(self._claim.tenant, reserving.result(), agent_type, meter.tokens)

    def _note(self, usage: MonthUsage) -> str:
        limit = self._budget.limit
        if limit is None or not usage.is_warning(limit):
            return ""
        return f" ({int(100 * usage.share(limit))} % of this month's tokens used)"


async def _is_reserved(reserving: asyncio.Task[Reservation], *, last: bool) -> bool:
    """Wait for the reservation; False: it may be had later, and this is not the ``last`` time to ask for it."""
    try:
        await asyncio.shield(reserving)
    except TokensReservedError:
        if last:
            raise
        return False
    return True


class _Meter:
    """What one call took so far."""

    def __init__(self, request: ModelRequest) -> None:
        self.request = request
        self._told: int | None = None
        self._parts: list[str] = []

    def count(self, chunk: ModelChunk) -> None:
        """Take the next part of the answer."""
        if isinstance(chunk, ModelText):
            self._parts.append(chunk.text)
        elif isinstance(chunk, ModelUsage):
            self._told = (self._told or 0) + max(0, chunk.tokens)

    @property
    def tokens(self) -> int:
        """What the model told, else an estimate: of request and answer so far; nothing where there was no answer."""
        if self._told is not None:
            return self._told
        answer = "".join(self._parts)
        return request_tokens(self.request) + estimated_tokens(answer) if answer else 0


def _noted(chunk: ModelChunk, note: str) -> ModelChunk:
    if note and isinstance(chunk, ModelProgress):
        return msgspec.structs.replace(chunk, label=chunk.label + note)
    return chunk
