"""The board of watched projects, over runs in a list and connections that note what they are sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from run_stage import turns
from structlog.testing import capture_logs

from realtime import board
from realtime.board import Board
from realtime.events import ProjectKey, RunKey
from realtime.outlet import MessageOutlet
from realtime.ports import RunService
from realtime.snapshot import RunSnapshot, StepSnapshot

KEY = ProjectKey("acme", "p")


def made(run_id: str, head: int) -> RunSnapshot:
    """A run as of that event."""
    return RunSnapshot(
        id=run_id,
        project_id="p",
        status="running",
        pipeline_mode="sequential",
        agents_selected=("a",),
        steps=(StepSnapshot(id="s", agent_type="a", position=1, status="running"),),
        last_event_id=head,
        total_tokens=0,
        error_code=None,
        error_message=None,
        started_by="u",
        created_at="t",
        started_at="t",
        completed_at=None,
        server_time=f"{head}",
    )


class ListedRuns:
    """The runs of projects, each with its head; a reading is as of its beginning and ends when the gate is open."""

    def __init__(self) -> None:
        self.heads: dict[ProjectKey, dict[str, int]] = {KEY: {"r": 1}}
        self.readings: list[ProjectKey] = []
        self.compared = 0
        self.failures = 0
        self.broken_tenant = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def list_runs(self, tenant: str, project_id: str, limit: int, before: str | None) -> Sequence[RunSnapshot]:
        key = ProjectKey(tenant, project_id)
        self.readings.append(key)
        runs = [made(run_id, head) for run_id, head in reversed(self.heads.get(key, {}).items())]
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the runs cannot be read now")
        return runs[:limit]

    async def newest_heads(self, tenant: str, project_ids: Sequence[str], limit: int) -> dict[str, dict[str, int]]:
        self.compared += 1
        if tenant == self.broken_tenant:
            raise OSError("the tenant's file is gone")
        return {id: self.heads[ProjectKey(tenant, id)] for id in project_ids if ProjectKey(tenant, id) in self.heads}


class NotedOutlet:
    """A connection that notes what it is sent, and can be told to take no more, or to break."""

    def __init__(self) -> None:
        self.ready = True
        self.broken = False
        self.sent: list[dict[str, Any]] = []
        self._callbacks: list[Callable[[], None]] = []

    def send(self, message: str) -> None:
        if self.broken:
            raise OSError("the connection is broken")
        self.sent.append(json.loads(message))

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def drain(self) -> None:
        """Take more again."""
        self.ready = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    async def until_told(self, run_id: str, head: int) -> None:
        """Return when the newest frame says that of the run."""
        async with asyncio.timeout(30):
            while self.told[-1].get(run_id) != head:
                await asyncio.sleep(0.002)

    @property
    def told(self) -> list[dict[str, int]]:
        """Of each frame the heads of the runs in it, oldest run first."""
        return [
            {run["id"]: run["last_event_id"] for run in reversed(frame.get("runs") or [frame.get("run")])}
            for frame in self.sent
        ]


class Scene:
    """A board, what it reads, and whoever watches."""

    def __init__(self) -> None:
        self.runs = ListedRuns()
        self.board = Board(cast("RunService", self.runs))
        self.failed = 0

    async def watch(self, key: ProjectKey = KEY) -> tuple[board.View, NotedOutlet]:
        """Somebody who watches."""
        outlet = NotedOutlet()
        return await self.board.watch(key, cast("MessageOutlet", outlet), self._fail), outlet

    async def change(self, head: int, run_id: str = "r") -> None:
        """A run comes so far, and that is published."""
        self.runs.heads[KEY][run_id] = head
        self.board.touch(RunKey(KEY.tenant, run_id))
        await turns(10)

    def _fail(self) -> None:
        self.failed += 1


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A project with one run, and nobody who watches; pauses are short."""
    monkeypatch.setattr(board, "PAUSE_S", 0.01)
    return Scene()


async def test_what_nobody_watches_is_not_read(scene: Scene) -> None:
    """Neither publishing nor comparing heads reads anything before the first watcher comes or after the last left."""
    for watched in range(3):
        await scene.change(2)
        await scene.board.reconcile()
        assert len(scene.board) == 0
        assert (len(scene.runs.readings), scene.runs.compared) == (watched, 0)
        view, _ = await scene.watch()
        view.close()
        view.close()


async def test_watchers_who_come_together_share_a_reading(scene: Scene) -> None:
    """A thousand who come back after a restart: one reading, and nothing of another tenant's same project id."""
    other = ProjectKey("globex", "p")
    scene.runs.heads[other] = {"theirs": 7}
    watching = await asyncio.gather(*[scene.watch() for _ in range(1000)], scene.watch(other))
    assert sorted(scene.runs.readings) == [KEY, other]
    await scene.change(2)
    await watching[-2][1].until_told("r", 2)
    assert all(outlet.told == [{"r": 1}, {"r": 2}] for _, outlet in watching[:-1])
    assert watching[-1][1].told == [{"theirs": 7}]
    assert scene.runs.readings.count(other) == 1
    for view, _ in watching:
        view.close()
    assert len(scene.board) == 0


async def test_change_while_the_first_reading_is_under_way_is_told(scene: Scene) -> None:
    """Joining misses nothing: what was published after the reading began is found by the next comparison."""
    scene.runs.gate.clear()
    joining = asyncio.ensure_future(scene.watch())
    await turns(10)
    await scene.change(2)
    scene.runs.gate.set()
    _, outlet = await joining
    await scene.board.reconcile()
    await outlet.until_told("r", 2)


async def test_second_watcher_joins_between_changes_without_a_gap(scene: Scene) -> None:
    """What it is shown is newer than what the first was told; both are told what comes then."""
    _, first = await scene.watch()
    await scene.change(2)
    await scene.change(3)
    _, second = await scene.watch()
    assert second.told[0] == {"r": 3}
    await scene.change(1, "new")
    await scene.board.reconcile()
    for outlet in (first, second):
        await outlet.until_told("new", 1)
        assert {"r": 3} in outlet.told
        assert [heads for heads in outlet.told if "new" in heads] == [{"new": 1}]


async def test_nothing_new_is_no_frame(scene: Scene) -> None:
    """A run that was read again is not told; for a run that is not on the board nothing is read."""
    _, outlet = await scene.watch()
    for key in (RunKey("globex", "r"), RunKey(KEY.tenant, "elsewhere")):
        scene.board.touch(key)
    await scene.board.reconcile()
    await turns(10)
    assert (outlet.told, len(scene.runs.readings)) == ([{"r": 1}], 1)
    scene.board.touch(RunKey(KEY.tenant, "r"))
    await turns(10)
    assert (outlet.told, len(scene.runs.readings)) == ([{"r": 1}], 2)


async def test_tenant_whose_runs_cannot_be_compared_costs_the_others_nothing(scene: Scene) -> None:
    """Theirs are found all the same; the failure is told after that."""
    theirs = ProjectKey("globex", "p")
    scene.runs.heads[theirs] = {"theirs": 1}
    await scene.watch()
    _, outlet = await scene.watch(theirs)
    scene.runs.broken_tenant = KEY.tenant
    scene.runs.heads[theirs]["theirs"] = 2
    with pytest.raises(OSError, match="gone"):
        await scene.board.reconcile()
    await outlet.until_told("theirs", 2)


async def test_heads_that_moved_are_read_once(scene: Scene) -> None:
    """A change that was not published is found by comparing heads; as long as they stand still, nothing is read."""
    _, outlet = await scene.watch()
    scene.runs.heads[KEY]["r"] = 2
    for _ in range(3):
        await scene.board.reconcile()
        await outlet.until_told("r", 2)
    assert outlet.told == [{"r": 1}, {"r": 2}]
    assert (len(scene.runs.readings), scene.runs.compared) == (2, 3)


async def test_connection_that_takes_no_more_is_shown_the_state_later(scene: Scene) -> None:
    """However much changes meanwhile, it is sent one frame when it drains, and changes again after that."""
    view, outlet = await scene.watch()
    _, witness = await scene.watch()
    outlet.ready = False
    for head in range(2, 5):
        await scene.change(head)
        await witness.until_told("r", head)
    assert outlet.told == [{"r": 1}]
    outlet.drain()
    assert [frame["op"] for frame in outlet.sent] == ["project", "project"]
    await scene.change(5)
    await outlet.until_told("r", 5)
    assert outlet.told == [{"r": 1}, {"r": 4}, {"r": 5}]
    outlet.ready = False
    await scene.change(6)
    await witness.until_told("r", 6)
    view.close()
    outlet.drain()
    assert outlet.told[-1] == {"r": 5}


async def test_connection_that_breaks_costs_nobody_else_anything(scene: Scene) -> None:
    """Its view is closed and its owner told; the others are told everything."""
    watching = [await scene.watch() for _ in range(3)]
    watching[1][1].broken = True
    for head in (2, 3):
        await scene.change(head)
        await watching[2][1].until_told("r", head)
        assert scene.failed == 1
    assert [outlet.told[1:] for _, outlet in watching] == [[{"r": 2}, {"r": 3}], [], [{"r": 2}, {"r": 3}]]


async def test_reading_that_fails_is_said_once_and_made_up_for(scene: Scene) -> None:
    """What was told stays, also where nothing is published any more: the next comparison of heads reads again."""
    _, outlet = await scene.watch()
    await scene.board.reconcile()
    await turns(10)
    scene.runs.failures = 3
    with capture_logs() as logs:
        await scene.change(2)
        async with asyncio.timeout(30):
            while scene.runs.failures:
                await scene.board.reconcile()
                await asyncio.sleep(0.002)
        assert outlet.told == [{"r": 1}]
        await scene.board.reconcile()
        await outlet.until_told("r", 2)
    assert [line["event"] for line in logs] == ["runs of a project cannot be read yet"]


async def test_watcher_who_leaves_before_the_reading_leaves_nothing(scene: Scene) -> None:
    """Cancelled while it waits, it is shown nothing, and the project is dropped with its reader."""
    scene.runs.gate.clear()
    joining = asyncio.ensure_future(scene.watch())
    await turns(10)
    await scene.change(2)
    joining.cancel()
    await asyncio.wait({joining})
    assert len(scene.board) == 0
    scene.runs.gate.set()
    await turns(10)
    await scene.change(3)
    assert len(scene.runs.readings) <= 2
