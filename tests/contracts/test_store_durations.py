"""How long past runs took, on every database: which runs count, and which do not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from store_material import TENANT, Project, complete, done, failed, new_run, open_project, running

from orchestrator.events import Fact, RunEnded
from orchestrator.pipeline import AGENT_TYPES, PipelineMode
from orchestrator.records import NewRun

PAIR = AGENT_TYPES[:2]


def success(run: NewRun) -> list[Fact]:
    """All that a run does whose every step completes."""
    return [
        *(fact for step in range(len(run.agents_selected)) for fact in (running(run, step), complete(run, step))),
        done(run),
    ]


async def carry_out(project: Project, run: NewRun, facts: Sequence[Fact]) -> None:
    """Accept the run and save what it does."""
    await project.store.runs.accept_run(TENANT, run)
    await project.store.runs.claim_run(TENANT, run.id, "mine")
    await project.save(run, *facts)


async def test_past_durations_are_those_of_completed_runs_alike(project: Project) -> None:
    """Same project, same agents in the same order, same mode, all of it done anew: each counts with its seconds."""
    assert await project.store.runs.past_durations(TENANT, project.id, PAIR, "sequential") == ()
    for _ in range(2):
        run = new_run(project.id, PAIR)
        await carry_out(project, run, success(run))
    record = await project.get(run)
    durations = await project.store.runs.past_durations(TENANT, project.id, PAIR, "sequential")
    assert len(durations) == 2
    assert record.started_at is not None
    assert all(0 <= duration < 60 for duration in durations)
    assert await project.store.runs.past_durations(TENANT, project.id, PAIR, "sequential", 1) == durations[:1]


async def test_past_durations_leave_out_other_and_partial_runs(project: Project) -> None:
    """Not those under way, failed, cancelled, cached, reused, of other agents, order, mode, project or tenant."""
    other = await open_project(project.store, slug="other")
    unlike = {
        "other agents": new_run(project.id, PAIR[:1]),
        "other order": new_run(project.id, PAIR[::-1]),
        "other mode": msgspec.structs.replace(new_run(project.id, PAIR), pipeline_mode=PipelineMode.PARALLEL),
        "other project": new_run(other.id, PAIR),
    }
    for run in unlike.values():
        await carry_out(project, run, success(run))
    run = new_run(project.id, PAIR)
    await carry_out(project, run, [running(run)])
    run = new_run(project.id, PAIR)
    await carry_out(project, run, [running(run), failed(run), RunEnded.failure(run.id, "STEP_FAILED", "no")])
    run = new_run(project.id, PAIR)
    await carry_out(project, run, [running(run), RunEnded.cancellation(run.id, "u1")])
    run = new_run(project.id, PAIR)
    cached = msgspec.structs.replace(complete(run), cached=True)
    await carry_out(project, run, [running(run), cached, running(run, 1), complete(run, 1), done(run)])
    run = msgspec.structs.replace(new_run(project.id, PAIR), reused={PAIR[0]: "artifact-0"})
    await carry_out(project, run, [running(run, 1), complete(run, 1), done(run)])
    assert await project.store.runs.past_durations(TENANT, project.id, PAIR, "sequential") == ()
    assert await project.store.runs.past_durations("nobody", project.id, PAIR, "sequential") == ()
