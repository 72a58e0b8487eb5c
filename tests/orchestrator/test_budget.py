"""What a tenant may spend in a month: calls put tokens aside in the real store, and settle however they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest
from run_stage import BA, RecordedSpending, RunStage, Through, cancelled, finished

from orchestrator.budget import WAIT_S, BudgetedModel, TokenBudget
from orchestrator.errors import BudgetExceededError, ClaimLostError, ModelError, StoreError
from orchestrator.ports import Context, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from orchestrator.records import Claim
from orchestrator.spending import MonthUsage

INSTRUCTIONS = "x" * 40
"""Ten tokens, by estimate."""


class ScriptedModel:
    """Answers with the same chunks each time, then fails, or waits for ever; counts how often it was asked."""

    name = "scripted"

    def __init__(self, *chunks: ModelChunk, error: Exception | None = None, waits: bool = False) -> None:
        self.chunks = chunks
        self.error = error
        self.waits = waits
        self.asked = 0
        self.closed = 0

    def estimate(self, request: ModelRequest) -> int:
        return 60

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        self.asked += 1
        try:
            for chunk in self.chunks:
                yield chunk
            if self.waits:
                await asyncio.get_running_loop().create_future()
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


class Desk:
    """Budgets of the stage's tenant, and models for the calls of one claimed run of it."""

    def __init__(self, stage: RunStage, claim: Claim) -> None:
        self.stage = stage
        self.claim = claim
        self.seen = RecordedSpending()

    def budget(self, limit: int | None = 100, tokens: Any = None) -> TokenBudget:
        """A budget over the stage's store, or over the tokens given."""
        return TokenBudget(tokens or self.stage.store.tokens, limit, self.seen, self.stage.clock)

    def model(self, model: ScriptedModel, limit: int | None = 100, tokens: Any = None) -> BudgetedModel:
        """``model`` for the calls of the run."""
        return BudgetedModel(model, self.budget(limit, tokens), self.claim)

    async def ask(self, model: BudgetedModel, *, until: int | None = None) -> list[ModelChunk]:
        """All chunks of one answer, or so many; then it is closed."""
        request = ModelRequest(
            tenant=self.stage.tenant, agent_type=BA, instructions=INSTRUCTIONS, context=Context(documents=())
        )
        heard: list[ModelChunk] = []
        answer = model.stream(request)
        async for chunk in answer:
            heard.append(chunk)
            if len(heard) == until:
                break
        await answer.aclose()
        return heard

    async def figures(self) -> tuple[int, int]:
        """Tokens that are spent, and put aside."""
        usage = await self.stage.store.tokens.usage(self.stage.tenant)
        return usage.spent, usage.reserved


@pytest.fixture
async def desk(stage: RunStage) -> Desk:
    """Where calls of a claimed run are made."""
    run = await stage.claim(await stage.accept(BA))
    return Desk(stage, Claim(stage.tenant, run.id, "mine"))


@pytest.mark.parametrize(
    ("month", "resets_at"),
    [("2026-11", "2026-12-01T00:00:00.000Z"), ("2026-12", "2027-01-01T00:00:00.000Z")],
)
def test_month_resets_when_the_next_begins(month: str, resets_at: str) -> None:
    """Also where the year ends with it."""
    assert MonthUsage(month=month, spent=0, reserved=0).resets_at == resets_at


@pytest.mark.parametrize(
    ("spent", "reserved", "limit", "remaining", "share", "is_warning"),
    [
        (0, 0, 100, 100, 0.0, False),
        (79, 30, 100, 0, 0.79, False),
        (80, 15, 100, 5, 0.8, True),
        (250, 0, 100, 0, 2.5, True),
        (0, 0, 0, 0, 1.0, True),
    ],
)
def test_month_is_told_by_its_limit(
    spent: int, reserved: int, limit: int, remaining: int, share: float, is_warning: bool
) -> None:
    """What is put aside is not left for others, but warns nobody; what is overspent leaves nothing, not less."""
    usage = MonthUsage(month="2026-11", spent=spent, reserved=reserved)
    assert (usage.remaining(limit), usage.share(limit), usage.is_warning(limit)) == (remaining, share, is_warning)


async def test_budget_lets_begin_until_it_is_used_up(desk: Desk) -> None:
    """With one token left a run may begin; with none it is refused, and told the numbers and when there are more."""
    budget = desk.budget()
    await desk.stage.spend(99)
    await budget.check(desk.stage.tenant)
    await desk.stage.spend(50)
    with pytest.raises(
        BudgetExceededError, match=r"^The 100 tokens for [0-9-]{7} are used up \(149 spent\); they start"
    ):
        await budget.check(desk.stage.tenant)
    assert desk.seen.refusals == 1


async def test_budget_without_limit_stops_nobody(desk: Desk) -> None:
    """No limit means that nothing is ever used up, nobody is warned, and all is counted."""
    await desk.stage.spend(10**12)
    budget = desk.budget(None)
    await budget.check(desk.stage.tenant)
    assert (await budget.usage(desk.stage.tenant)).spent == 10**12
    assert (desk.seen.shares, desk.seen.warnings) == ([], 0)


async def test_budget_of_zero_stops_everybody(desk: Desk) -> None:
    """A limit of no tokens is one."""
    with pytest.raises(BudgetExceededError):
        await desk.budget(0).check(desk.stage.tenant)
    assert desk.seen.shares == [1.0]


async def test_budgeted_model_hands_on_the_answer_and_counts_it(desk: Desk) -> None:
    """Every chunk comes through unchanged and in order; at first tokens are put aside, then those told are spent."""
    chunks = (ModelProgress(5, "a"), ModelText("b"), ModelUsage(20), ModelUsage(10))
    aside: list[tuple[int, int]] = []

    class Looking(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
            aside.append(await desk.figures())
            async for chunk in super().stream(request):
                yield chunk

    model = desk.model(Looking(*chunks))
    assert await desk.ask(model) == list(chunks)
    assert model.name == "scripted"
    assert aside == [(0, 60)]
    assert await desk.figures() == (30, 0)
    assert desk.seen.tokens == [(BA, 30)]


async def test_call_that_crosses_the_line_is_let_finish_and_no_other_begins(desk: Desk) -> None:
    """An answer may take more than was left; the next call is refused before the model is asked."""
    scripted = ScriptedModel(ModelText("b"), ModelUsage(130))
    model = desk.model(scripted)
    assert await desk.ask(model) == [ModelText("b"), ModelUsage(130)]
    with pytest.raises(BudgetExceededError):
        await desk.ask(model)
    assert scripted.asked == 1
    assert (await desk.figures(), desk.seen.refusals, desk.seen.shares[-1]) == ((130, 0), 1, 1.3)


async def test_call_waits_for_tokens_that_others_have_put_aside(desk: Desk) -> None:
    """What is only put aside may come back: the call says that it waits, and is made when another has settled."""
    tokens = desk.stage.store.tokens
    other = await tokens.reserve(desk.claim, 100, 100)
    scripted = ScriptedModel(ModelText("b"), ModelUsage(30))
    asking = asyncio.create_task(desk.ask(desk.model(scripted)))
    await desk.stage.clock.naps.nth(1)
    assert (scripted.asked, desk.seen.refusals) == (0, 0)
    await tokens.settle(desk.stage.tenant, other.id, 50)
    desk.stage.clock.advance(WAIT_S)
    waiting, *answer = await finished(asking)
    assert isinstance(waiting, ModelProgress)
    assert waiting.label.startswith("Waiting: ")
    assert answer[-1] == ModelUsage(30)
    assert await desk.figures() == (80, 0)


async def test_call_does_not_wait_for_ever_for_what_others_keep(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some minutes the call is refused, as one that finds nothing left."""
    monkeypatch.setattr("orchestrator.budget.MOST_WAITS", 1)
    await desk.stage.store.tokens.reserve(desk.claim, 100, 100)
    asking = asyncio.create_task(desk.ask(desk.model(ScriptedModel(ModelText("b")))))
    await desk.stage.clock.naps.nth(1)
    desk.stage.clock.advance(WAIT_S)
    with pytest.raises(BudgetExceededError, match="put aside by calls under way"):
        await finished(asking)


async def test_call_of_a_lost_claim_is_not_made(desk: Desk) -> None:
    """A worker whose run is another's spends nothing more."""
    scripted = ScriptedModel(ModelText("b"))
    await desk.stage.store.runs.claim_run(*desk.claim._replace(token="next"), seize=True)
    with pytest.raises(ClaimLostError):
        await desk.ask(desk.model(scripted))
    assert (scripted.asked, await desk.figures()) == (0, (0, 0))


@pytest.mark.parametrize(
    ("chunks", "spent"),
    [
        ((), 0),
        ((ModelProgress(3, "reading"),), 0),
        ((ModelText("x" * 17),), 15),
        ((ModelText("x" * 7), ModelText("x" * 10)), 15),
        ((ModelText("x" * 17), ModelUsage(9)), 9),
    ],
    ids=["nothing", "progress", "text", "texts", "told"],
)
@pytest.mark.parametrize("end", ["error", "close", "cancel"])
async def test_call_that_breaks_off_has_spent_what_is_likely(
    desk: Desk, chunks: tuple[ModelChunk, ...], spent: int, end: str
) -> None:
    """What was told, else an estimate of request and answer so far, else nothing; nothing stays put aside."""
    scripted = ScriptedModel(*chunks, error=ModelError("no answer"), waits=end == "cancel")
    model = desk.model(scripted)
    if end == "error":
        with pytest.raises(ModelError, match="no answer"):
            await desk.ask(model)
    elif end == "close":
        scripted.chunks += (ModelProgress(99, "last"),)
        await desk.ask(model, until=len(scripted.chunks))
    else:
        asking = asyncio.create_task(desk.ask(model))
        async with asyncio.timeout(30):
            while not scripted.asked:
                await asyncio.sleep(0)
        await cancelled(asking)
    assert scripted.closed == 1
    assert await desk.figures() == (spent, 0)


class Tokens(Through):
    """The store's tokens; once made, a reservation waits for the test, and settling fails if the test says so."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.made = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False

    async def reserve(self, claim: Claim, tokens: int, limit: int | None) -> Any:
        reservation = await self.store.reserve(claim, tokens, limit)
        self.made.set()
        await self.go_on.wait()
        return reservation

    async def settle(self, tenant: str, reservation_id: str, tokens: int) -> Any:
        if self.fails:
            raise StoreError("the database is away")
        return await self.store.settle(tenant, reservation_id, tokens)


async def test_call_cancelled_while_tokens_are_put_aside_gives_them_back(desk: Desk) -> None:
    """However early a call is cancelled, and however often, what it has put aside is settled."""
    tokens, scripted = Tokens(desk.stage.store.tokens), ScriptedModel(ModelText("b"))
    tokens.go_on.clear()
    asking = asyncio.create_task(desk.ask(desk.model(scripted, tokens=tokens)))
    async with asyncio.timeout(30):
        await tokens.made.wait()
    assert await desk.figures() == (0, 60)
    asking.cancel()
    await asyncio.sleep(0)
    asking.cancel()
    tokens.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await finished(asking)
    async with asyncio.timeout(30):
        while await desk.figures() != (0, 0):
            await asyncio.sleep(0)
    assert scripted.asked == 0


async def test_call_that_cannot_be_settled_is_an_answer_all_the_same(
    desk: Desk, logged: list[MutableMapping[str, Any]]
) -> None:
    """A database that is away just then costs no answer; the tokens stay put aside, and that is logged."""
    tokens = Tokens(desk.stage.store.tokens)
    tokens.fails = True
    assert await desk.ask(desk.model(ScriptedModel(ModelUsage(20)), tokens=tokens)) == [ModelUsage(20)]
    assert await desk.figures() == (0, 60)
    (line,) = [line for line in logged if line["event"] == "tokens stay put aside"]
    assert (line["tokens"], line["used"]) == (60, 20)


async def test_call_from_80_percent_on_says_so_in_all_its_progress(desk: Desk) -> None:
    """Below that nothing is added; from there on a first progress says it, and every label ends with it."""
    chunks = (ModelProgress(5, "Reading"), ModelText("b"), ModelProgress(50, "Writing"))
    await desk.stage.spend(79)
    assert await desk.ask(desk.model(ScriptedModel(*chunks, ModelUsage(4)))) == [*chunks, ModelUsage(4)]
    note = " (83 % of this month's tokens used)"
    assert await desk.ask(desk.model(ScriptedModel(*chunks))) == [
        ModelProgress(0, f"Asking scripted{note}"),
        ModelProgress(5, f"Reading{note}"),
        ModelText("b"),
        ModelProgress(50, f"Writing{note}"),
    ]


async def test_warning_is_logged_once_for_a_tenant_and_month(
    desk: Desk, logged: list[MutableMapping[str, Any]]
) -> None:
    """Whoever runs the server is told when the call that passed 80 % is settled, and not with each call after it."""
    budget = desk.budget()
    model = BudgetedModel(ScriptedModel(ModelUsage(80)), budget, desk.claim)
    await desk.ask(model)
    await desk.ask(model)
    with pytest.raises(BudgetExceededError):
        await budget.check(desk.stage.tenant)
    (line,) = [line for line in logged if line["event"] == "most of a month's tokens are used"]
    assert (line["tenant"], line["spent"], line["limit"]) == (desk.stage.tenant, 80, 100)
    assert (desk.seen.warnings, desk.seen.shares) == (1, [0.0, 0.8, 0.8, 1.6, 1.6])
