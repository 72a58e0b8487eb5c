"""Claims: who may write the log of a run, for how long, and from whom it can be taken."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest
from store_material import (
    TENANT,
    Project,
    accept_claimed,
    artifact,
    check_run,
    complete,
    done,
    free,
    lapsed,
    new_run,
    open_project,
    running,
    without_ages,
)

from orchestrator.errors import ClaimLostError
from orchestrator.records import Claim, NewRun
from realtime.wiring.adapters import to_snapshot

NOBODY = "nobody"


async def takeovers(project: Project, run: NewRun) -> int:
    """How many claims in a row were taken over."""
    return (await project.get(run)).takeovers


async def test_claim_of_a_free_run_answers_with_it_and_is_no_takeover(project: Project) -> None:
    """The run as it stands comes with the claim; who was never claimed was taken from nobody."""
    run = await project.accept(token=None)
    assert await free(project.store, run)
    claimed = await project.store.runs.claim_run(TENANT, run.id, "mine")
    assert claimed is not None
    assert without_ages(claimed) == without_ages(await check_run(project.store, TENANT, run.id))
    assert claimed.takeovers == 0
    assert not await free(project.store, run)
    await project.save(run, running(run))


async def test_claim_of_a_leased_run_is_refused_and_changes_nothing(project: Project) -> None:
    """While a lease lasts nobody else gets the run, unless they seize it."""
    run = await project.accept()
    assert await project.store.runs.claim_run(TENANT, run.id, "other") is None
    assert await takeovers(project, run) == 0
    await project.save(run, running(run))
    with pytest.raises(ClaimLostError):
        await project.save(run, running(run), token="other")


async def test_claim_of_a_lapsed_run_is_a_takeover(project: Project) -> None:
    """When a lease is over, by the database's clock, anybody may have the run; its first holder has lost it then."""
    run = await project.accept(token=None)
    await project.store.runs.claim_run(TENANT, run.id, "mine", 0.01)
    await lapsed(project.store, run)
    await project.save(run, running(run))  # nobody has taken it yet
    taken = await project.store.runs.claim_run(TENANT, run.id, "other")
    assert taken is not None
    assert (taken.takeovers, taken.last_event_id) == (1, 4)
    with pytest.raises(ClaimLostError):
        await project.save(run, running(run, percent=1))
    assert await project.store.runs.claim_run(TENANT, run.id, "mine") is None


async def test_claim_that_is_seized_is_a_takeover_whatever_its_lease(project: Project) -> None:
    """Who seizes a run gets it from a holder whose lease lasts, and the other way round."""
    run = await project.accept()
    for number, token in enumerate(("other", "mine", "other"), start=1):
        taken = await project.store.runs.claim_run(TENANT, run.id, token, seize=True)
        assert taken is not None
        assert taken.takeovers == number


async def test_claim_with_the_same_token_again_is_no_takeover(project: Project) -> None:
    """A holder may ask again, also after its lease is over: it gets the run as it stands, for another lease."""
    run = await project.accept(token=None)
    for lease_s in (0.01, 0.01, 3600):
        again = await project.store.runs.claim_run(TENANT, run.id, "mine", lease_s)
        assert again is not None
        assert again.takeovers == 0
        if lease_s < 1:
            await lapsed(project.store, run)
    assert not await free(project.store, run)


async def test_claim_of_a_released_run_is_no_takeover(project: Project) -> None:
    """A run that was handed back is free at once, and nobody's loss is counted when it is taken up again."""
    run = await project.accept()
    await project.save(run, running(run))
    for _ in range(2):
        await project.store.runs.release_claim(Claim(TENANT, run.id, "mine"))
    assert await free(project.store, run)
    with pytest.raises(ClaimLostError):
        await project.save(run, running(run, percent=1))
    taken = await project.store.runs.claim_run(TENANT, run.id, "other")
    assert taken is not None
    assert (taken.takeovers, taken.heartbeat_age_s) == (0, pytest.approx(0, abs=5))


async def test_release_of_what_another_holds_changes_nothing(project: Project) -> None:
    """Who has lost a run cannot hand it back; nor can a run that has ended, or is not there, be."""
    run, ended = await project.accept(), await project.accept()
    await project.save(ended, done(ended))
    for claim in (
        Claim(TENANT, run.id, "late"),
        Claim(TENANT, ended.id, "mine"),
        Claim(TENANT, str(uuid4()), "mine"),
        Claim(NOBODY, run.id, "mine"),
    ):
        await project.store.runs.release_claim(claim)
    await project.save(run, running(run))
    assert not await free(project.store, ended)


async def test_takeovers_are_counted_until_a_step_completes(project: Project) -> None:
    """Claims that were lost in a row are counted across workers; a completed step begins the count anew."""
    run = await project.accept(token="0")
    for number in range(1, 4):
        await project.store.runs.claim_run(TENANT, run.id, str(number), seize=True)
    assert await takeovers(project, run) == 3
    await project.save(run, running(run), token="3")
    assert await takeovers(project, run) == 3
    await project.save(run, complete(run), token="3")
    assert await takeovers(project, run) == 0
    await project.store.runs.claim_run(TENANT, run.id, "4", seize=True)
    assert await takeovers(project, run) == 1


async def test_held_and_renewed_claims_are_those_that_hold(project: Project) -> None:
    """Of all claims asked for, exactly those are named whose token stands on the run; absent runs are not."""
    held, seized, released, lapsing = [await project.accept() for _ in range(4)]
    unclaimed = await project.accept(token=None)
    runs = project.store.runs
    await runs.claim_run(TENANT, seized.id, "other", seize=True)
    await runs.release_claim(Claim(TENANT, released.id, "mine"))
    await runs.claim_run(TENANT, lapsing.id, "mine", 0.01)
    await lapsed(project.store, lapsing)
    asked = dict.fromkeys([held.id, seized.id, released.id, lapsing.id, unclaimed.id, str(uuid4())], "mine")
    assert await runs.held_claims(TENANT, asked) == {held.id, lapsing.id}
    assert await free(project.store, lapsing)  # asking renews nothing
    assert await runs.renew_claims(TENANT, asked) == {held.id, lapsing.id}
    assert not await free(project.store, lapsing)
    assert await free(project.store, released)
    for ask in (runs.held_claims, runs.renew_claims):
        assert await ask(TENANT, {}) == frozenset()
        assert await ask(NOBODY, asked) == frozenset()


async def test_renewed_claim_outlasts_its_lease(project: Project) -> None:
    """A renewal counts from when it is made; what is not renewed lapses."""
    renewed, left = await project.accept(token=None), await project.accept(token=None)
    for run in (renewed, left):
        await project.store.runs.claim_run(TENANT, run.id, "mine", 0.2)
    await project.store.runs.renew_claims(TENANT, {renewed.id: "mine"}, 3600)
    await lapsed(project.store, left)
    assert await project.store.runs.claim_run(TENANT, renewed.id, "other") is None
    assert await project.store.runs.claim_run(TENANT, left.id, "other") is not None


async def test_save_after_a_lost_claim_changes_nothing(project: Project) -> None:
    """Neither events nor rows nor artifacts of a worker that lost its run are kept; the run goes on without it."""
    run = await project.accept()
    await project.store.runs.claim_run(TENANT, run.id, "other", seize=True)
    before = without_ages(await project.get(run))
    with pytest.raises(ClaimLostError):
        await project.store.runs.save(TENANT, run.id, "mine", [running(run), complete(run)], [artifact(run)])
    assert without_ages(await check_run(project.store, TENANT, run.id)) == before
    assert await project.store.runs.list_artifacts(TENANT, project.id) == ()
    await project.save(run, running(run), token="other")


async def test_claims_at_once_have_one_winner(project: Project) -> None:
    """Of many that want a free run at the same moment, one gets it, and only it can write."""
    run = await project.accept(token=None)
    tokens = [str(number) for number in range(12)]
    answers = await asyncio.gather(*(project.store.runs.claim_run(TENANT, run.id, token) for token in tokens))
    (winner,) = [token for token, answer in zip(tokens, answers, strict=True) if answer is not None]
    assert await project.store.runs.held_claims(TENANT, {run.id: winner}) == {run.id}
    assert await takeovers(project, run) == 0


async def test_ages_tell_of_the_worker_and_of_progress(project: Project) -> None:
    """Whoever reads a run learns how long ago its worker was heard of and its steps moved; else there is no age."""
    run = await project.accept(token=None)
    fresh = await project.get(run)
    assert (fresh.heartbeat_age_s, [step.progress_age_s for step in fresh.steps]) == (None, [None] * 3)
    await project.store.runs.claim_run(TENANT, run.id, "mine")
    await project.save(run, running(run), running(run, 1))
    await project.save(run, complete(run, 1))
    first = await project.get(run)
    assert first.heartbeat_age_s is not None
    assert first.steps[0].progress_age_s is not None
    assert [step.progress_age_s for step in first.steps[1:]] == [None, None]
    shown = to_snapshot(first)
    assert shown.heartbeat_age_s == first.heartbeat_age_s
    assert [step.progress_age_s for step in shown.steps] == [step.progress_age_s for step in first.steps]

    async with asyncio.timeout(30):  # the ages grow with the database's clock
        while (later := await project.get(run)).heartbeat_age_s in {None, first.heartbeat_age_s}:
            await asyncio.sleep(0.002)
    stalled = msgspec.structs.replace(running(run), stalled=True)
    await project.save(run, stalled)
    assert ((await project.get(run)).steps[0].progress_age_s or 0) >= (later.steps[0].progress_age_s or 0) > 0
    await project.store.runs.renew_claims(TENANT, {run.id: "mine"})
    assert ((await project.get(run)).heartbeat_age_s or 0) < 10
    await project.save(run, done(run))
    ended = await project.get(run)
    assert (ended.heartbeat_age_s, ended.completed_at is None) == (None, False)


async def test_free_and_unfinished_runs_of_all_tenants_oldest_first(project: Project) -> None:
    """Free are those that nobody claims or whose claim has lapsed; both lists go by age, whatever the tenant."""
    acme = await open_project(project.store, "acme")
    runs: dict[str, tuple[Project, NewRun]] = {}
    for place, name in ((project, "held"), (acme, "lapsed"), (project, "fresh"), (acme, "ended"), (acme, "released")):
        runs[name] = place, await place.accept(token=None)
        await asyncio.sleep(0.003)  # another millisecond on the store's clock
    for name, lease_s in (("held", 3600), ("lapsed", 0.01), ("ended", 3600), ("released", 3600)):
        place, run = runs[name]
        await place.store.runs.claim_run(place.tenant, run.id, "mine", lease_s)
    await acme.save(runs["ended"][1], done(runs["ended"][1]))
    await acme.store.runs.release_claim(Claim("acme", runs["released"][1].id, "mine"))
    await lapsed(project.store, runs["lapsed"][1])

    def listed(*names: str) -> tuple[tuple[str, str], ...]:
        return tuple((runs[name][0].tenant, runs[name][1].id) for name in names)

    assert await project.store.runs.unfinished_runs() == listed("held", "lapsed", "fresh", "released")
    assert await project.store.runs.free_runs() == listed("lapsed", "fresh", "released")


async def test_run_accepted_and_claimed_together_is_never_free(project: Project) -> None:
    """What a test seeds beside a server that looks for work cannot be taken up by it."""
    run = new_run(project.id)
    await accept_claimed(project.store, TENANT, run, "mine")
    assert not await free(project.store, run)
    await project.save(run, running(run))
