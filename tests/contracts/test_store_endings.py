"""Ending a run from outside, whoever holds it; and accepting one that takes over what another completed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from uuid import uuid4

import msgspec
import pytest
from store_material import (
    TENANT,
    Project,
    artifact,
    check_run,
    complete,
    done,
    failed,
    new_run,
    running,
    without_ages,
)

from orchestrator.endings import cancellation
from orchestrator.errors import ClaimLostError, RunIdConflictError
from orchestrator.events import Fact, RunEnded
from orchestrator.records import NewRun, RunRecord, Written
from orchestrator.states import RunState, StepState


async def cancel(project: Project, run: NewRun, by: str = "u2") -> Written | None:
    """What comes of that user's cancelling the run."""
    return await project.store.runs.end_run(project.tenant, run.id, lambda record: cancellation(record, by))


@pytest.mark.parametrize("holder", ["mine", "other"])
async def test_end_run_whoever_holds_it_ends_it_as_it_stands(project: Project, holder: str) -> None:
    """The end is made from the run as it is under the lock, and saved with it; its holder writes nothing more."""
    run = await project.accept(token="mine")
    await project.save(run, running(run), complete(run), running(run, 1))
    await project.store.runs.claim_run(TENANT, run.id, holder, seize=True)
    ended = await cancel(project, run)
    assert ended is not None
    assert [(event.id, event.type) for event in ended.events] == [(7, "error"), (8, "error"), (9, "complete")]
    assert ended.run == await check_run(project.store, TENANT, run.id)
    assert ended.events == await project.store.runs.read_events(TENANT, run.id, 6)
    assert (ended.run.status, ended.run.cancelled_by) == (RunState.CANCELLED, "u2")
    assert [step.status for step in ended.run.steps] == [
        StepState.COMPLETED,
        StepState.CANCELLED,
        StepState.CANCELLED,
    ]
    for token in ("mine", "other"):
        with pytest.raises(ClaimLostError):
            await project.save(run, running(run, 1, 50), token=token)
    assert await project.store.runs.claim_run(TENANT, run.id, "late", seize=True) is None


async def test_end_run_that_nobody_claimed_ends_it(project: Project) -> None:
    """A run that no worker has begun ends like any other, and is no more to be had."""
    run = await project.accept(token=None)
    ended = await cancel(project, run)
    assert ended is not None
    assert (len(ended.events), ended.run.started_at) == (4, None)
    await check_run(project.store, TENANT, run.id)
    assert await project.store.runs.unfinished_runs() == ()


async def test_end_run_again_changes_nothing(project: Project) -> None:
    """A run that has ended stays as it is, however it ended; there are no events, and nobody is asked for any."""
    completed, cancelled = await project.accept(), await project.accept()
    await project.save(completed, done(completed))
    await cancel(project, cancelled, "u2")

    def end(record: RunRecord) -> Sequence[Fact]:
        raise AssertionError(f"run {record.id} has ended")

    for run in (completed, cancelled):
        before = await project.get(run)
        assert await project.store.runs.end_run(TENANT, run.id, end) == Written(before, ())
    assert (await project.get(cancelled)).cancelled_by == "u2"


async def test_end_run_that_is_not_there_is_none(project: Project) -> None:
    """Neither an unknown run nor one of another tenant, nor of one that does not exist, can be ended."""
    run = await project.accept()
    for tenant, asked in ((TENANT, new_run(project.id)), ("nobody", run)):
        assert await project.store.runs.end_run(tenant, asked.id, lambda record: cancellation(record, "u2")) is None
    assert (await project.get(run)).completed_at is None


async def test_end_run_whose_end_cannot_be_made_changes_nothing(project: Project) -> None:
    """If who asks fails to say how the run ends, it goes on, and its holder has not lost it."""
    run = await project.accept()
    before = without_ages(await project.get(run))

    def fail(record: RunRecord) -> Sequence[Fact]:
        raise LookupError(record.id)

    with pytest.raises(LookupError):
        await project.store.runs.end_run(TENANT, run.id, fail)
    assert without_ages(await project.get(run)) == before
    await project.save(run, running(run))


@pytest.mark.parametrize("seed", range(3))
async def test_end_run_and_the_runs_own_end_at_once_have_one_winner(project: Project, seed: int) -> None:
    """Of a worker's last save and two cancellations that cross it, exactly one writes the terminal event."""
    dice = random.Random(seed)
    for _ in range(12):
        run = await project.accept()
        await project.save(run, *(fact for step in range(3) for fact in (running(run, step), complete(run, step))))
        racers = [project.save(run, done(run)), cancel(project, run, "u2"), cancel(project, run, "u3")]
        dice.shuffle(racers)
        answers = await asyncio.gather(*racers, return_exceptions=True)
        record = await check_run(project.store, TENANT, run.id)
        assert record.last_event_id == 10
        won = [answer for answer in answers if isinstance(answer, tuple) or getattr(answer, "events", ())]
        assert len(won) == 1
        if record.status is RunState.COMPLETED:
            assert isinstance(won[0], tuple)
        else:
            assert record.cancelled_by in {"u2", "u3"}
            assert sum(isinstance(answer, ClaimLostError) for answer in answers) == 1
        for answer in answers:
            assert not isinstance(answer, Written) or answer.run == record


async def test_end_run_amid_saves_keeps_the_log_whole(project: Project) -> None:
    """However many saves are under way, those before the end are kept, those after are refused, without a gap."""
    for _ in range(6):
        run = await project.accept()
        saves = [project.save(run, running(run, 0, percent)) for percent in range(8)]
        *saved, ended = await asyncio.gather(*saves, cancel(project, run), return_exceptions=True)
        assert isinstance(ended, Written)
        kept = [events for events in saved if isinstance(events, tuple)]
        assert all(isinstance(answer, ClaimLostError) for answer in saved if not isinstance(answer, tuple))
        record = await check_run(project.store, TENANT, run.id)
        assert record.last_event_id == 3 + len(kept) + len(ended.events) == ended.events[-1].id


def retry_of(run: NewRun, *steps: int, run_id: str | None = None) -> NewRun:
    """A run that does that run again, and reuses what these of its steps left."""
    return msgspec.structs.replace(
        new_run(run.project_id, run_id=run_id),
        retry_of=run.id,
        reused={run.agents_selected[step]: f"artifact-{step}" for step in steps},
    )


@pytest.fixture
async def failed_run(project: Project) -> NewRun:
    """A run whose first step completed and left an artifact, whose second failed, and whose third never began."""
    run = await project.accept()
    left = msgspec.structs.replace(artifact(run), id="artifact-0")
    await project.store.runs.save(TENANT, run.id, "mine", [running(run), complete(run)], [left])
    ends = [failed(run, 1), failed(run, 2, "STEP_CANCELLED"), RunEnded.failure(run.id, "STEP_FAILED", "no answer")]
    await project.save(run, running(run, 1), *ends)
    return run


async def test_accept_run_that_reuses_completes_those_steps_after_the_plan(
    project: Project, failed_run: NewRun
) -> None:
    """The log begins with the whole plan, then one ``complete`` per reused step: the old artifact and no tokens."""
    again = retry_of(failed_run, 0)
    accepted = await project.store.runs.accept_run(TENANT, again)
    assert [event.type for event in accepted.events] == ["queued", "queued", "queued", "complete"]
    payload = json.loads(accepted.events[3].payload)
    assert {name: payload[name] for name in ("step_id", "artifact_id", "tokens_used", "reused", "cached")} == {
        "step_id": again.step_ids[0],
        "artifact_id": "artifact-0",
        "tokens_used": 0,
        "reused": True,
        "cached": False,
    }
    assert accepted.run == await check_run(project.store, TENANT, again.id)
    assert accepted.events == await project.store.runs.read_events(TENANT, again.id, 0)
    assert (accepted.run.retry_of, accepted.run.status, accepted.run.total_tokens) == (
        failed_run.id,
        RunState.QUEUED,
        0,
    )
    assert [(step.status, step.reused) for step in accepted.run.steps] == [
        (StepState.COMPLETED, True),
        (StepState.QUEUED, False),
        (StepState.QUEUED, False),
    ]


async def test_artifacts_of_a_run_are_those_of_its_steps_also_reused(project: Project, failed_run: NewRun) -> None:
    """A retry lists the old artifact beside its own; the first run and the project list each artifact once."""
    again = retry_of(failed_run, 0)
    await project.store.runs.accept_run(TENANT, again)
    await project.store.runs.claim_run(TENANT, again.id, "mine")
    own = msgspec.structs.replace(artifact(again, 1), id="artifact-1")
    await project.store.runs.save(TENANT, again.id, "mine", [running(again, 1), complete(again, 1)], [own])

    async def listed(run: NewRun | None) -> set[tuple[str, str]]:
        run_id = None if run is None else run.id
        artifacts = await project.store.runs.list_artifacts(TENANT, project.id, run_id)
        assert len({one.id for one in artifacts}) == len(artifacts)
        return {(one.id, one.run_id) for one in artifacts}

    assert await listed(failed_run) == {("artifact-0", failed_run.id)}
    assert await listed(again) == {("artifact-0", failed_run.id), ("artifact-1", again.id)}
    assert await listed(None) == await listed(again)
    assert (await project.get(again)).total_tokens == 10


async def test_accept_run_that_reuses_all_needs_only_its_end(project: Project, failed_run: NewRun) -> None:
    """A run all of whose steps are reused is queued with nothing left to do, and may complete as it is."""
    again = retry_of(failed_run, 0, 1, 2)
    accepted = await project.store.runs.accept_run(TENANT, again)
    assert len(accepted.events) == 6
    await project.store.runs.claim_run(TENANT, again.id, "mine")
    await project.save(again, done(again))
    record = await check_run(project.store, TENANT, again.id)
    assert (record.status, record.started_at) == (RunState.COMPLETED, None)


async def test_accept_retry_equal_again_answers_with_the_first(project: Project, failed_run: NewRun) -> None:
    """The same retry again changes nothing, also when its run has gone on; of many at once one gets the events."""
    again = retry_of(failed_run, 0)
    answers = await asyncio.gather(*(project.store.runs.accept_run(TENANT, again) for _ in range(6)))
    assert sorted(len(answer.events) for answer in answers) == [0, 0, 0, 0, 0, 4]
    await project.store.runs.claim_run(TENANT, again.id, "mine")
    await project.save(again, running(again, 1))
    repeated = await project.store.runs.accept_run(TENANT, retry_of(failed_run, 0, run_id=again.id))
    assert repeated.events == ()
    assert (repeated.run.last_event_id, repeated.run.steps[0].id) == (5, again.step_ids[0])


async def test_accept_retry_with_an_id_that_is_taken_is_a_conflict(project: Project, failed_run: NewRun) -> None:
    """An id stands for one request: a retry is neither a fresh run nor the retry of another, nor without cache."""
    again, fresh = retry_of(failed_run, 0), new_run(project.id)
    for accepted in (again, fresh):
        await project.store.runs.accept_run(TENANT, accepted)
    for asked in (
        new_run(project.id, run_id=again.id),
        retry_of(failed_run, run_id=fresh.id),
        msgspec.structs.replace(again, retry_of=str(uuid4())),
        msgspec.structs.replace(again, use_cache=False),
    ):
        with pytest.raises(RunIdConflictError):
            await project.store.runs.accept_run(TENANT, asked)
    assert (await check_run(project.store, TENANT, again.id)).last_event_id == 4
