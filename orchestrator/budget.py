"""What a tenant may spend on language models in a calendar month (UTC): no call begins without tokens put aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import msgspec
import structlog

from orchestrator.context import estimated_tokens, request_tokens
from orchestrator.errors import BudgetExceededError, StoreError
from orchestrator.ports import LanguageModel, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from orchestrator.records import Claim
from orchestrator.spending import MonthUsage, Reservation, SpendingObserver, TokenStore

_log = structlog.get_logger(__name__)


class TokenBudget:
    """One ``limit`` of tokens per month for each tenant, kept in the store; None: all is counted and none refused."""

    def __init__(self, tokens: TokenStore, limit: int | None, observer: SpendingObserver) -> None:
        self.limit = limit
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
            BudgetExceededError: nothing is left of this month's tokens.

        """
        usage = await self.usage(tenant)
        try:
            usage.check(self.limit)
        except BudgetExceededError:
            self._observer.refused()
            raise

    async def reserve(self, claim: Claim, tokens: int) -> Reservation:
        """Put tokens aside for a call; see `orchestrator.spending.TokenStore.reserve`.

        Raises:
            BudgetExceededError: nothing is left.
            ClaimLostError: the run has ended or is another worker's now.

        """
        try:
            reservation = await self._tokens.reserve(claim, tokens, self.limit)
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

        What it took is counted however it ends, also when it is cancelled.

        Raises:
            BudgetExceededError: the tenant has no tokens left; nothing was asked.
            ClaimLostError: the run has ended or is another worker's now; nothing was asked.
            ModelError: the model failed.

        """
        meter = _Meter(request)
        reserving = asyncio.create_task(self._budget.reserve(self._claim, self.estimate(request)))
        try:
            note = self._note((await asyncio.shield(reserving)).usage)
            if note:
                yield ModelProgress(0, f"Asking {self.name}{note}")
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    meter.count(chunk)
                    yield _noted(chunk, note)
        finally:
            await asyncio.shield(asyncio.create_task(self._settle(reserving, meter)))

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
