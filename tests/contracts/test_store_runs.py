from __future__ import annotations

import asyncio
import re
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
    open_project,
    running,
    without_ages,
)

from orchestrator.errors import (
    ClaimLostError,
    IllegalTransitionError,
    ProjectNotFoundError,
    RunIdConflictError,
    StoreError,
)
from orchestrator.events import RunEnded, encode_payload
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.states import RunState, StepState

AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_accept_run_new_one_writes_row_steps_and_queued_events(project: Project) -> None:
    """Acceptance leaves a queued run whose head already counts one ``queued`` event per step."""
    run = new_run(project.id)
    accepted = await project.store.runs.accept_run(TENANT, run)
    assert [(event.id, event.type) for event in accepted.events] == [(1, "queued"), (2, "queued"), (3, "queued")]
    assert accepted.events == await project.store.runs.read_events(TENANT, run.id, 0)
    assert accepted.run == await check_run(project.store, TENANT, run.id)
    assert accepted.run.status is RunState.QUEUED
    assert [step.agent_type for step in accepted.run.steps] == list(run.agents_selected)
    assert [step.position for step in accepted.run.steps] == [1, 2, 3]
    assert AT.fullmatch(accepted.run.created_at)


async def test_accept_run_equal_again_answers_with_the_first(project: Project) -> None:
    """Accepting an equal run of the same id, whatever its step ids, changes nothing and has no events."""
    run = await project.accept()
    await project.save(run, running(run))
    again = await project.store.runs.accept_run(TENANT, new_run(project.id, run_id=run.id))
    assert again.events == ()
    assert without_ages(again.run) == without_ages(await project.get(run))
    assert again.run.status is RunState.RUNNING


async def test_accept_run_other_body_or_project_is_refused(project: Project) -> None:
    """An id that another request has taken is a conflict, and the run that has it is unchanged."""
    run = await project.accept()
    before = without_ages(await project.get(run))
    other = await open_project(project.store, slug="other")
    for changed in (
        msgspec.structs.replace(run, agents_selected=run.agents_selected[:1], step_ids=run.step_ids[:1]),
        msgspec.structs.replace(run, agents_selected=run.agents_selected[::-1]),
        msgspec.structs.replace(run, pipeline_mode=PipelineMode.PARALLEL),
        msgspec.structs.replace(run, project_id=other.id),
    ):
        with pytest.raises(RunIdConflictError):
            await project.store.runs.accept_run(TENANT, changed)
    assert without_ages(await project.get(run)) == before


async def test_accept_run_equal_at_once_has_one_winner(project: Project) -> None:
    """Of twenty equal requests at the same moment, exactly one gets the events, and all get the same run."""
    run = new_run(project.id)
    answers = await asyncio.gather(*(project.store.runs.accept_run(TENANT, run) for _ in range(20)))
    assert sorted(len(answer.events) for answer in answers) == [0] * 19 + [3]
    assert all(answer.run == answers[0].run for answer in answers)
    await check_run(project.store, TENANT, run.id)


async def test_accept_run_unknown_project_or_tenant_is_refused(project: Project) -> None:
    """Without its project a run is not accepted, and leaves nothing."""
    run = new_run(str(uuid4()))
    with pytest.raises(ProjectNotFoundError):
        await project.store.runs.accept_run(TENANT, run)
    with pytest.raises(ProjectNotFoundError):
        await project.store.runs.accept_run("nobody", run)
    assert await project.store.runs.get_run(TENANT, run.id) is None
    assert await project.store.runs.unfinished_runs() == ()


async def test_accept_run_steps_and_agents_of_other_number_is_refused(project: Project) -> None:
    """A plan that does not fit its agents is a mistake of the caller, and is not accepted."""
    run = msgspec.structs.replace(new_run(project.id), step_ids=("one",))
    with pytest.raises(ValueError, match="argument"):
        await project.store.runs.accept_run(TENANT, run)
    assert await project.store.runs.get_run(TENANT, run.id) is None


async def test_claim_run_second_claim_takes_the_log(project: Project) -> None:
    """A claim that seizes the run replaces the one before it: the old token writes nothing, the new one does."""
    run = await project.accept(token="old")
    await project.save(run, running(run), token="old")
    claimed = await project.store.runs.claim_run(TENANT, run.id, "new", seize=True)
    assert claimed is not None
    assert (claimed.takeovers, claimed.taken_over) == (1, True)
    claimed = msgspec.structs.replace(without_ages(claimed), taken_over=False)
    assert claimed == without_ages(await project.get(run))
    with pytest.raises(ClaimLostError):
        await project.store.runs.save(TENANT, run.id, "old", [running(run, percent=50)], [artifact(run)])
    assert without_ages(await project.get(run)) == claimed
    assert await project.store.runs.list_artifacts(TENANT, project.id) == ()
    await project.save(run, running(run, percent=60), token="new")
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 5


async def test_claim_run_absent_or_ended_is_none(project: Project) -> None:
    """There is no right to write the log of a run that does not exist, or that has ended."""
    run = await project.accept()
    await project.save(run, done(run))
    assert await project.store.runs.claim_run(TENANT, run.id, "late") is None
    assert await project.store.runs.claim_run(TENANT, str(uuid4()), "late") is None
    assert await project.store.runs.claim_run("nobody", run.id, "late") is None


async def test_save_unclaimed_absent_or_ended_run_is_refused(project: Project) -> None:
    """Only the holder of a run that has not ended writes its log."""
    unclaimed = await project.accept(token=None)
    ended = await project.accept()
    await project.save(ended, done(ended))
    for tenant, run in ((TENANT, unclaimed), (TENANT, ended), (TENANT, new_run(project.id)), ("nobody", ended)):
        with pytest.raises(ClaimLostError):
            await project.store.runs.save(tenant, run.id, "mine", [running(run)])
    assert (await check_run(project.store, TENANT, unclaimed.id)).last_event_id == 3
    assert (await check_run(project.store, TENANT, ended.id)).last_event_id == 4


async def test_save_facts_are_numbered_stamped_and_stored_as_sent(project: Project) -> None:
    """Saved events carry the next ids, one time of the store for all, and the very text that is read back."""
    run = await project.accept()
    facts = [running(run), running(run, percent=40), complete(run)]
    events = await project.save(run, *facts)
    at = msgspec.json.decode(events[0].payload)["at"]
    assert AT.fullmatch(at)
    assert [(event.id, event.type, event.payload) for event in events] == [
        (number, fact.wire_type, encode_payload(fact, at)) for number, fact in enumerate(facts, start=4)
    ]
    assert await project.store.runs.read_events(TENANT, run.id, 3) == events


async def test_save_nothing_changes_nothing(project: Project) -> None:
    """Without facts there are no events, but the claim is still looked at."""
    run = await project.accept()
    assert await project.save(run) == ()
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 3
    with pytest.raises(ClaimLostError):
        await project.save(run, token="other")


async def test_save_whole_life_rows_equal_the_fold(project: Project) -> None:
    """After each save of a run with success, retry, failure and cancelled steps, rows equal the fold of the log."""
    run = await project.accept()
    lives = [
        [running(run)],
        [running(run, percent=70), complete(run, tokens=120)],
        [running(run, 1), running(run, 1, 30), running(run, 1, 0, attempt=2)],
        [failed(run, 1), failed(run, 2, "STEP_CANCELLED")],
        [RunEnded.failure(run.id, "STEP_FAILED", "qa_consultant: no answer")],
    ]
    for facts in lives:
        await project.save(run, *facts)
        await check_run(project.store, TENANT, run.id)
    record = await project.get(run)
    assert record.status is RunState.FAILED
    assert (record.error_code, record.error_message) == ("STEP_FAILED", "qa_consultant: no answer")
    assert record.total_tokens == 120
    assert [step.status for step in record.steps] == [StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED]
    assert record.steps[1].attempt == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [(None, "completed"), ("CANCELLED", "cancelled"), ("INTERRUPTED", "failed"), ("BUDGET_EXCEEDED", "failed")],
)
async def test_save_end_of_a_queued_run_sets_its_status(project: Project, code: str | None, status: str) -> None:
    """Every way to end, even of a run that never started, gives the status that its error code names."""
    run = await project.accept()
    await project.save(run, done(run) if code is None else RunEnded.failure(run.id, code, "why"))
    record = await check_run(project.store, TENANT, run.id)
    assert (record.status, record.error_code) == (status, code)
    assert record.completed_at is not None
    assert record.started_at is None


async def test_save_reused_step_and_unknown_step_equal_the_fold(project: Project) -> None:
    """A step may complete without having run; a fact about a step that is not of the run is logged and no more."""
    run, stranger = await project.accept(), new_run(project.id)
    await project.save(run, complete(run, 0, 5), running(stranger), complete(stranger, 1, 1000))
    record = await check_run(project.store, TENANT, run.id)
    assert record.total_tokens == 5
    assert record.status is RunState.RUNNING


async def test_save_fact_after_the_end_is_refused(project: Project) -> None:
    """The end is the last fact of a log; a save that says otherwise changes nothing."""
    run = await project.accept()
    with pytest.raises(IllegalTransitionError):
        await project.save(run, done(run), running(run))
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 3


async def test_save_refused_by_the_database_takes_all_back(project: Project) -> None:
    """An artifact whose id is taken fails the save as StoreError: no events, no rows, and the next save works."""
    run = await project.accept()
    first = artifact(run)
    await project.store.runs.save(TENANT, run.id, "mine", [running(run)], [first])
    with pytest.raises(StoreError) as refused:
        await project.store.runs.save(TENANT, run.id, "mine", [complete(run)], [first])
    assert refused.value.__cause__ is not None
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 4
    await project.save(run, running(run, percent=9))
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 5


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
async def test_save_text_that_cannot_be_stored_is_kept_without_it(project: Project, odd: str) -> None:
    """A NUL or half a surrogate pair in any text of a fact or artifact becomes U+FFFD, in rows and log alike."""
    run = await project.accept(AGENT_TYPES[:2])
    label = msgspec.structs.replace(running(run), progress_label=f"a{odd}b")
    message = msgspec.structs.replace(failed(run, 1), message=f"{odd}{odd}")
    left = msgspec.structs.replace(artifact(run), title=odd, content=f"one{odd}two")
    await project.store.runs.save(TENANT, run.id, "mine", [label, message], [left])
    await project.save(run, RunEnded.failure(run.id, "STEP_FAILED", f"x{odd}"))
    record = await check_run(project.store, TENANT, run.id)
    assert record.error_message == "x\ufffd"
    assert (record.steps[0].progress_label, record.steps[1].error_message) == ("a\ufffdb", "\ufffd\ufffd")
    (kept,) = await project.store.runs.list_artifacts(TENANT, project.id, with_content=True)
    assert (kept.title, kept.content) == ("\ufffd", "one\ufffdtwo")


async def test_save_from_many_tasks_numbers_without_gap(project: Project) -> None:
    """Eight runs, each written by five tasks at once, end with contiguous logs and rows that equal their fold."""
    runs = [await project.accept() for _ in range(8)]
    saves = [project.save(run, running(run, index % 3, index)) for run in runs for index in range(5)]
    answers = await asyncio.gather(*saves)
    assert all(len(events) == 1 for events in answers)
    for run in runs:
        assert (await check_run(project.store, TENANT, run.id)).last_event_id == 8
