"""Rows and log tell one story: folding what is after a snapshot gives the rows as they are then."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from store_material import (
    TENANT,
    Project,
    as_snapshot,
    check_run,
    complete,
    done,
    failed,
    new_run,
    running,
    without_ages,
)

from orchestrator.endings import cancellation, interruption
from orchestrator.events import Fact, RunEnded
from orchestrator.records import NewRun
from realtime.events import Event
from realtime.snapshot import RunSnapshot, fold


class Life:
    """What may happen to a run, one thing after another, by dice."""

    def __init__(self, project: Project, run: NewRun, dice: random.Random) -> None:
        self.run = run
        self._project = project
        self._dice = dice
        self._going = {step: 0 for step, agent in enumerate(run.agents_selected) if agent not in run.reused}

    async def go_on(self) -> None:
        """Save some facts."""
        await self._project.save(
            self.run, *(fact for _ in range(self._dice.randrange(1, 4)) for fact in self._next())
        )

    async def end(self) -> None:
        """Have the run end: by its worker, as given up, or cancelled by somebody."""
        runs = self._project.store.runs
        match self._dice.randrange(4):
            case 0:
                await self._project.save(self.run, done(self.run))
            case 1:
                ends = [failed(self.run, step, "STEP_CANCELLED") for step in self._going]
                await self._project.save(
                    self.run, *ends, RunEnded.failure(self.run.id, "BUDGET_EXCEEDED", "all used")
                )
            case 2:
                await runs.end_run(TENANT, self.run.id, lambda record: cancellation(record, "u2"))
            case 3:
                await runs.end_run(TENANT, self.run.id, lambda record: interruption(record, "lost"))

    def _next(self) -> Sequence[Fact]:
        if not self._going:
            return ()
        step = self._dice.choice(sorted(self._going))
        match self._dice.randrange(8):
            case 0:
                del self._going[step]
                return [msgspec.structs.replace(complete(self.run, step), cached=self._dice.random() < 0.5)]
            case 1:
                del self._going[step]
                return [failed(self.run, step)]
            case kind:
                self._going[step] = percent = self._dice.randrange(self._going[step], 101)
                moving = running(self.run, step, percent, self._dice.randrange(1, 5))
                if kind == 2:
                    return [msgspec.structs.replace(moving, stalled=True)]
                if kind == 3:
                    return [msgspec.structs.replace(moving, retry_at="2026-02-28T09:30:00.000Z", reason="no answer")]
                return [moving]


async def folded(project: Project, run: NewRun, state: RunSnapshot) -> RunSnapshot:
    """The state after all that is in the log beyond it."""
    for event in await project.store.runs.read_events(TENANT, run.id, state.last_event_id):
        state = fold(state, Event(run.id, event.id, event.type, event.payload))
    return without_ages(state)


@pytest.mark.parametrize("seed", range(8))
async def test_any_snapshot_and_what_follows_it_is_the_run_as_it_is(project: Project, seed: int) -> None:
    """At every moment of any life of a run, the fold of its log, or of an earlier snapshot's tail, is its rows."""
    dice = random.Random(seed)
    run = new_run(project.id)
    reused = {agent: f"artifact of {agent}" for agent in run.agents_selected if dice.random() < 0.3}
    run = msgspec.structs.replace(run, retry_of="an older run" if reused else None, reused=reused)
    await project.store.runs.accept_run(TENANT, run)
    await project.store.runs.claim_run(TENANT, run.id, "mine")
    life = Life(project, run, dice)
    snapshots = []
    for moment in range(10):
        snapshots.append(as_snapshot(await check_run(project.store, TENANT, run.id)))
        await (life.end() if moment == 9 else life.go_on())
    now = as_snapshot(await check_run(project.store, TENANT, run.id))
    assert now.ended
    for snapshot in snapshots:
        assert await folded(project, run, snapshot) == now
