"""What a tenant may spend in a month."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from run_stage import ManualClock

from orchestrator.budget import BudgetedModel, TokenBudget
from orchestrator.errors import BudgetExceededError, ModelError
from orchestrator.ports import Context, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage

DAY_S = 24 * 3600


class ScriptedModel:
    """Answers with the same chunks each time, then maybe fails; counts how often it was asked."""

    name = "scripted"

    def __init__(self, *chunks: ModelChunk, error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.asked = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.asked += 1
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error


def request(tenant: str = "demo") -> ModelRequest:
    """A question of that tenant."""
    return ModelRequest(tenant=tenant, agent_type="a", instructions="", context=Context(documents=()))


async def answer(model: BudgetedModel, tenant: str = "demo") -> list[ModelChunk]:
    """All chunks of one answer."""
    return [chunk async for chunk in model.stream(request(tenant))]


def test_budget_lets_go_on_until_it_is_used_up() -> None:
    """The last token may be spent, and more at once; then the tenant is stopped with both numbers told."""
    budget = TokenBudget(100, ManualClock())
    budget.spend("demo", 99)
    budget.check("demo")
    budget.spend("demo", 50)
    with pytest.raises(BudgetExceededError, match=r"100 tokens .*149 spent"):
        budget.check("demo")


def test_budget_is_each_tenants_own() -> None:
    """What one tenant spends is taken from no other."""
    budget = TokenBudget(100, ManualClock())
    budget.spend("demo", 100)
    budget.check("acme")


def test_budget_begins_anew_each_month() -> None:
    """With the calendar month, in UTC, the whole limit is there again."""
    clock = ManualClock()
    budget = TokenBudget(100, clock)
    budget.spend("demo", 100)
    with pytest.raises(BudgetExceededError):
        budget.check("demo")
    clock.advance(DAY_S)
    budget.check("demo")


def test_budget_without_limit_stops_nobody() -> None:
    """No limit means that nothing is ever used up."""
    budget = TokenBudget(None, ManualClock())
    budget.spend("demo", 10**12)
    budget.check("demo")


def test_budget_of_zero_stops_everybody() -> None:
    """A limit of no tokens is one."""
    with pytest.raises(BudgetExceededError):
        TokenBudget(0, ManualClock()).check("demo")


async def test_budgeted_model_hands_on_the_answer_and_counts_it() -> None:
    """Every chunk comes through unchanged and in order, and the tokens are spent for the tenant that asked."""
    chunks = (ModelProgress(5, "a"), ModelText("b"), ModelUsage(60))
    budget = TokenBudget(100, ManualClock())
    model = BudgetedModel(ScriptedModel(*chunks), budget)
    assert model.name == "scripted"
    assert await answer(model) == list(chunks)
    assert await answer(model) == list(chunks)
    with pytest.raises(BudgetExceededError):
        await answer(model)
    assert await answer(model, "acme") == list(chunks)


async def test_budgeted_model_without_budget_is_not_asked() -> None:
    """A tenant without tokens costs nothing more."""
    scripted = ScriptedModel(ModelText("b"))
    model = BudgetedModel(scripted, TokenBudget(0, ManualClock()))
    with pytest.raises(BudgetExceededError):
        await answer(model)
    assert scripted.asked == 0


async def test_budgeted_model_that_fails_has_spent_what_it_said() -> None:
    """Tokens of an answer that broke off are spent all the same, and the error comes through."""
    budget = TokenBudget(100, ManualClock())
    model = BudgetedModel(ScriptedModel(ModelUsage(100), error=ModelError("no answer")), budget)
    with pytest.raises(ModelError, match="no answer"):
        await answer(model)
    with pytest.raises(BudgetExceededError):
        budget.check("demo")
