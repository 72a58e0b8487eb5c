"""What a tenant may spend on language models in a calendar month (UTC), counted by this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from orchestrator.errors import BudgetExceededError
from orchestrator.ports import Clock, LanguageModel, ModelChunk, ModelRequest, ModelUsage


class TokenBudget:
    """Tokens spent per tenant and month, against one limit for each tenant; ``limit`` None: there is none."""

    def __init__(self, limit: int | None, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._spent: Counter[tuple[str, str]] = Counter()

    def check(self, tenant: str) -> None:
        """Let whoever may still spend something go on.

        Raises:
            BudgetExceededError: this month's tokens are used up.

        """
        spent = self._spent[tenant, self._month()]
        if self._limit is not None and spent >= self._limit:
            raise BudgetExceededError(f"The month's {self._limit} tokens are used up ({spent} spent).")

    def spend(self, tenant: str, tokens: int) -> None:
        """Count what was used."""
        self._spent[tenant, self._month()] += tokens

    def _month(self) -> str:
        return self._clock.now().strftime("%Y-%m")


class BudgetedModel:
    """A language model that is asked only while the tenant has tokens left, and whose tokens are counted."""

    def __init__(self, model: LanguageModel, budget: TokenBudget) -> None:
        self._model = model
        self._budget = budget

    @property
    def name(self) -> str:
        """The name of the model behind it."""
        return self._model.name

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The model's answer.

        Raises:
            BudgetExceededError: the tenant has no tokens left; nothing was asked.
            ModelError: the model failed.

        """
        self._budget.check(request.tenant)
        async for chunk in self._model.stream(request):
            if isinstance(chunk, ModelUsage):
                self._budget.spend(request.tenant, chunk.tokens)
            yield chunk
