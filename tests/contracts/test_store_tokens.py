"""What a tenant's calls put aside and spend: exact, whoever asks at once, from whatever process."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from store_material import Project, done, open_project
from store_openers import OPENERS

from orchestrator.endings import cancellation
from orchestrator.errors import BudgetExceededError, ClaimLostError
from orchestrator.records import Claim, NewRun
from orchestrator.spending import Reservation
from orchestrator.store import Store, budgets


def claim_of(project: Project, run: NewRun, token: str = "mine") -> Claim:
    """The claim that ``token`` has, or would have, of the run."""
    return Claim(project.tenant, run.id, token)


@pytest.fixture
async def claim(project: Project) -> Claim:
    """A claim that holds."""
    return claim_of(project, await project.accept())


async def figures(project: Project) -> tuple[int, int]:
    """Tokens that are spent, and put aside."""
    usage = await project.store.tokens.usage(project.tenant)
    return usage.spent, usage.reserved


async def test_reservation_counts_until_it_is_settled(project: Project, claim: Claim) -> None:
    """What a call puts aside is no one else's; settled, what it really took is spent, more or less than that."""
    tokens = project.store.tokens
    first = await tokens.reserve(claim, 60, 100)
    assert (first.tokens, first.usage.spent, first.usage.reserved) == (60, 0, 0)
    assert await figures(project) == (0, 60)
    second = await tokens.reserve(claim, 60, 100)
    assert (second.tokens, second.usage.reserved) == (40, 60)
    await tokens.settle(project.tenant, first.id, 25)
    await tokens.settle(project.tenant, second.id, 70)
    assert await figures(project) == (95, 0)


async def test_reservation_beyond_the_limit_is_refused(project: Project, claim: Claim) -> None:
    """The call that crosses the line is let finish, and no other begins; the refusal has the numbers and the day."""
    tokens = project.store.tokens
    crossing = await tokens.reserve(claim, 500, 100)
    assert crossing.tokens == 100
    with pytest.raises(BudgetExceededError, match=r"spent \(0\) and put aside by calls under way \(100\)"):
        await tokens.reserve(claim, 1, 100)
    await tokens.settle(project.tenant, crossing.id, 140)
    month = (await tokens.usage(project.tenant)).month
    with pytest.raises(BudgetExceededError) as refused:
        await tokens.reserve(claim, 1, 100)
    assert str(refused.value).startswith(f"The 100 tokens for {month} are used up (140 spent); they start anew on ")
    assert await figures(project) == (140, 0)


async def test_reservation_without_limit_is_counted_all_the_same(project: Project, claim: Claim) -> None:
    """Where nothing is ever used up, what was used is still known; and a call puts aside one token at least."""
    tokens = project.store.tokens
    large, small = await tokens.reserve(claim, 10**12, None), await tokens.reserve(claim, 0, None)
    assert (large.tokens, small.tokens) == (10**12, 1)
    await tokens.settle(project.tenant, large.id, 10**12)
    assert await figures(project) == (10**12, 1)


async def test_settling_again_changes_nothing(project: Project, claim: Claim) -> None:
    """Tokens are counted once, however often a call is settled; one that nobody made is none."""
    tokens = project.store.tokens
    kept = await tokens.reserve(claim, 50, 100)
    for _ in range(3):
        await tokens.settle(project.tenant, kept.id, 30)
    await tokens.settle(project.tenant, str(uuid4()), 30)
    await tokens.settle("nobody", kept.id, 30)
    assert await figures(project) == (30, 0)


async def test_claim_that_is_lost_reserves_nothing(project: Project) -> None:
    """A worker whose run is another's, has ended or never was puts nothing aside."""
    run, ended = await project.accept(), await project.accept()
    await project.save(ended, done(ended))
    strangers = (
        claim_of(project, run, "another"),
        claim_of(project, ended),
        Claim(project.tenant, str(uuid4()), "mine"),
        Claim("nobody", run.id, "mine"),
    )
    for claim in strangers:
        with pytest.raises(ClaimLostError):
            await project.store.tokens.reserve(claim, 10, 100)
    assert await figures(project) == (0, 0)


async def test_take_over_spends_what_the_dead_claim_put_aside(project: Project) -> None:
    """What its calls cost, nobody can know: it counts in full and once, also when the dead worker settles late."""
    run, other = await project.accept(), await project.accept()
    tokens = project.store.tokens
    kept = [await tokens.reserve(claim_of(project, run), each, 1000) for each in (100, 20)]
    await tokens.reserve(claim_of(project, other), 7, 1000)
    await project.store.runs.claim_run(project.tenant, run.id, "next", seize=True)
    assert await figures(project) == (120, 7)
    await tokens.settle(project.tenant, kept[0].id, 3)
    assert await figures(project) == (120, 7)


async def test_call_of_a_cancelled_run_is_settled_by_its_worker(project: Project) -> None:
    """A run that is ended from outside leaves its calls as they are: the worker is told, and knows what they took."""
    run, other = await project.accept(), await project.accept()
    tokens = project.store.tokens
    kept = await tokens.reserve(claim_of(project, run), 30, 100)
    await project.store.runs.end_run(project.tenant, run.id, lambda record: cancellation(record, "u1"))
    assert (await tokens.reserve(claim_of(project, other), 50, 100)).usage.reserved == 30
    await tokens.settle(project.tenant, kept.id, 4)
    assert await figures(project) == (4, 50)


async def test_reservation_left_behind_by_a_run_that_ended_is_spent_by_a_later_call(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that nobody settled in time keep their tokens from others no longer: they count in full."""
    run, other = await project.accept(), await project.accept()
    tokens = project.store.tokens
    await tokens.reserve(claim_of(project, run), 30, 100)
    await project.save(run, done(run))
    assert await figures(project) == (0, 30)
    monkeypatch.setattr(budgets, "SETTLE_S", -1.0)
    after = await tokens.reserve(claim_of(project, other), 50, 100)
    assert (after.tokens, after.usage.spent, after.usage.reserved) == (50, 30, 0)


async def test_budget_is_each_tenants_own(project: Project, claim: Claim) -> None:
    """What one tenant spends is taken from no other; one that does not exist has spent nothing in the same month."""
    tokens, other = project.store.tokens, await open_project(project.store, "globex")
    await tokens.reserve(claim, 100, 100)
    assert (await tokens.reserve(claim_of(other, await other.accept()), 100, 100)).tokens == 100
    nobody, somebody = await tokens.usage("nobody"), await tokens.usage(project.tenant)
    assert (nobody.spent, nobody.reserved, nobody.month) == (0, 0, somebody.month)


async def test_month_that_is_over_has_no_part_in_the_next(project: Project, claim: Claim) -> None:
    """Spent or put aside in another month, it is not counted in this one, and is settled where it belongs."""
    tokens = project.store.tokens
    old = await tokens.reserve(claim, 100, 100)
    await _move_to_month(project, "2026-01")
    assert await figures(project) == (0, 0)
    assert (await tokens.reserve(claim, 100, 100)).tokens == 100
    await tokens.settle(project.tenant, old.id, 70)
    assert await figures(project) == (0, 100)


async def _move_to_month(project: Project, month: str) -> None:
    """Let all that was counted so far have been counted in ``month``."""

    async def move(session) -> None:
        for table in ("token_months", "token_reservations"):
            await session.execute(f"UPDATE {{tenant}}.{table} SET month = :month", month=month)

    await project.store._databases.write(project.tenant, move)


async def test_calls_of_many_processes_at_once_never_pass_the_limit(
    implementation: str, place: str, store: Store, project: Project
) -> None:
    """Through two stores at once, reservations come to exactly the limit, and every other is refused; each round."""
    claims = [claim_of(project, await project.accept()) for _ in range(12)]
    async with await OPENERS[implementation](place) as second:
        stores = [store, second]
        for _ in range(10):
            answers = await asyncio.gather(
                *(stores[number % 2].tokens.reserve(claim, 30, 100) for number, claim in enumerate(claims)),
                return_exceptions=True,
            )
            kept = [answer for answer in answers if isinstance(answer, Reservation)]
            assert sorted(answer.tokens for answer in kept) == [10, 30, 30, 30]
            assert sum(isinstance(answer, BudgetExceededError) for answer in answers) == 8
            await asyncio.gather(
                *(stores[number % 2].tokens.settle(project.tenant, one.id, 0) for number, one in enumerate(kept))
            )
    assert await figures(project) == (0, 0)


async def test_settling_while_the_run_is_taken_over_counts_once(
    implementation: str, place: str, store: Store, project: Project
) -> None:
    """Worker and successor, each over a store of its own, come at once: each call is settled or written off."""
    async with await OPENERS[implementation](place) as second:
        for number in range(20):
            run = await project.accept(token=f"worker {number}")
            kept = await store.tokens.reserve(claim_of(project, run, f"worker {number}"), 1000, None)
            before = (await store.tokens.usage(project.tenant)).spent
            await asyncio.gather(
                store.tokens.settle(project.tenant, kept.id, 1),
                second.runs.claim_run(project.tenant, run.id, "next", seize=True),
            )
            spent, reserved = await figures(project)
            assert spent - before in {1, 1000}
            assert reserved == 0


async def test_reserving_while_the_run_is_taken_over_leaves_nothing_behind(
    implementation: str, place: str, store: Store, project: Project
) -> None:
    """A reservation of the moment of the take-over is refused or written off; none belongs to a dead claim."""
    async with await OPENERS[implementation](place) as second:
        for number in range(20):
            run = await project.accept(token=f"worker {number}")
            before = (await store.tokens.usage(project.tenant)).spent
            kept, _ = await asyncio.gather(
                store.tokens.reserve(claim_of(project, run, f"worker {number}"), 1000, None),
                second.runs.claim_run(project.tenant, run.id, "next", seize=True),
                return_exceptions=True,
            )
            assert isinstance(kept, ClaimLostError | Reservation)
            spent, reserved = await figures(project)
            assert (spent - before, reserved) == (1000 if isinstance(kept, Reservation) else 0, 0)
