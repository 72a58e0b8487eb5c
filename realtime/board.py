"""The board of watched projects: their newest runs, shown to whoever watches, then each run that is new or changes.

This is state, not a log: nobody is owed what was in between. A project has one reader for all who watch it. It reads
when an event of one of the runs on the board was published here, or when the newest runs, compared with the store now
and then, are others or further; what nobody watches is not read.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

import structlog

from realtime.events import ProjectKey, RunKey
from realtime.frames import ProjectFrame, Ref, RunFrame
from realtime.outlet import MessageOutlet
from realtime.ports import RunService
from realtime.shared_reads import SharedReads
from realtime.snapshot import RunSummary, summarise

_log = structlog.get_logger(__name__)

RUNS = 20
"""So many of the newest runs of a project are on the board."""
PAUSE_S = 1.0
"""The first change is told at once; what follows, so many seconds after it."""


class _Reading(NamedTuple):
    """The newest runs, newest first, as they were read; a higher number was read later."""

    number: int
    runs: tuple[RunSummary, ...]


_NOTHING = _Reading(0, ())


class View:
    """One connection's view of a project, from `Board.watch` until `close`."""

    def __init__(self, project: _Project, outlet: MessageOutlet, on_failed: Callable[[], None]) -> None:
        self._project = project
        self._outlet = outlet
        self._on_failed = on_failed
        self._current = False
        project.views.add(self)

    def close(self) -> None:
        """Nothing is sent after this. Idempotent."""
        self._current = False
        self._project.leave(self)

    def show(self, runs: Sequence[RunSummary], ref: Ref = None) -> None:
        """Send the runs as they are; from now on changes follow."""
        self._current = True
        frame = ProjectFrame(project_id=self._project.key.project_id, runs=tuple(runs), ref=ref)
        self._outlet.send(frame.encode())

    def tell(self, frames: Sequence[str]) -> None:
        """Send what has changed. A connection that takes no more is shown all again when it does. Never raises."""
        if self._current:
            self._try(lambda: self._tell(frames))

    def _tell(self, frames: Sequence[str]) -> None:
        if not self._outlet.ready:
            self._current = False
            self._outlet.call_when_ready(self._catch_up)
            return
        for frame in frames:
            self._outlet.send(frame)

    def _catch_up(self) -> None:
        if self in self._project.views:
            self._try(lambda: self.show(self._project.told.runs))

    def _try(self, send: Callable[[], None]) -> None:
        """Whatever an outlet raises is not the others' business: the view is closed, and its owner told."""
        try:
            send()
        except Exception:
            _log.exception("a watcher's outlet failed", project_id=self._project.key.project_id)
            self.close()
            asyncio.get_running_loop().call_soon(self._on_failed)


class _Project:
    """A watched project: who watches, and what they were told; what each of them has is that or newer.

    ``read`` reads the newest runs; ``on_told`` is called when others were told, ``on_left`` when a view was closed.
    """

    def __init__(
        self,
        key: ProjectKey,
        read: Callable[[ProjectKey], Awaitable[_Reading | None]],
        on_told: Callable[[_Project, _Reading], None],
        on_left: Callable[[_Project], None],
    ) -> None:
        self.key = key
        self.views: set[View] = set()
        self.told = _NOTHING
        self._read = read
        self._on_told = on_told
        self._on_left = on_left
        self._stale = False
        self._telling: asyncio.Task[None] | None = None
        self._readable = True

    def begin(self, view: View, reading: _Reading, ref: Ref) -> None:
        """Show a new view what was read for it, or told since."""
        reading = max(reading, self.told)
        if self.told is _NOTHING:
            self._remember(reading)
        view.show(reading.runs, ref)

    def leave(self, view: View) -> None:
        """Forget a view that was closed."""
        self.views.discard(view)
        self._on_left(self)

    def refresh(self) -> None:
        """Something may have changed: read and tell it, at once or `PAUSE_S` after the last time."""
        self._stale = True
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell_while_stale())

    def close(self) -> None:
        """Nothing is read or told after this."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell_while_stale(self) -> None:
        try:
            while self._stale:
                self._stale = False
                await self._read_and_tell()
                await asyncio.sleep(PAUSE_S)
        finally:
            self._telling = None

    async def _read_and_tell(self) -> None:
        """Where it cannot be read, what was told stays, until it is compared with the store again."""
        try:
            reading = await self._read(self.key)
        except Exception as error:
            if self._readable:
                reason = f"{type(error).__name__}: {error}"
                _log.warning("runs of a project cannot be read yet", project_id=self.key.project_id, reason=reason)
            self._readable = False
            return
        self._readable = True
        self._tell(reading or _NOTHING)

    def _tell(self, reading: _Reading) -> None:
        before = {run.id: run for run in self.told.runs}
        self._remember(max(reading, self.told))
        frames = [
            RunFrame(project_id=self.key.project_id, run=run).encode()
            for run in reversed(self.told.runs)
            if before.get(run.id) != run
        ]
        for view in tuple(self.views) if frames else ():
            view.tell(frames)

    def _remember(self, reading: _Reading) -> None:
        before, self.told = self.told, reading
        self._on_told(self, before)


class Board:
    """Every project that is watched at this server, by tenant and id."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs
        self._projects: dict[ProjectKey, _Project] = {}
        self._listed: dict[RunKey, _Project] = {}
        """Every run on the board."""
        self._readings = 0
        self._reads: SharedReads[ProjectKey, _Reading] = SharedReads(self._read, lambda key: key)

    def __len__(self) -> int:
        return len(self._projects)

    def touch(self, key: RunKey) -> None:
        """Something of this run was published. Costs one look where it is not on the board."""
        project = self._listed.get(key)
        if project is not None:
            project.refresh()

    async def watch(
        self, key: ProjectKey, outlet: MessageOutlet, on_failed: Callable[[], None], *, ref: Ref = None
    ) -> View:
        """Show the newest runs of the project, read after this was asked for, then whatever changes.

        ``on_failed`` is called when ``outlet`` raised; the view is closed then. Raises what the reading raises; then,
        and when cancelled, nothing is left behind.
        """
        project = self._projects.get(key) or self._open(key)
        view = View(project, outlet, on_failed)
        try:
            reading = await self._reads.get(key)
        except BaseException:
            view.close()
            raise
        project.begin(view, reading or _NOTHING, ref)
        return view

    async def reconcile(self) -> None:
        """Compare what was told with the store, and read what was not published here, new runs among it.

        Raises what the comparison raised of a tenant, after those of all others.
        """
        watched: defaultdict[str, list[_Project]] = defaultdict(list)
        for project in self._projects.values():
            watched[project.key.tenant].append(project)
        failure = None
        for tenant, projects in watched.items():
            try:
                heads = await self._runs.newest_heads(tenant, [project.key.project_id for project in projects], RUNS)
            except Exception as error:
                failure = error
                continue
            for project in projects:
                told = {run.id: run.last_event_id for run in project.told.runs}
                if project.views and told != heads.get(project.key.project_id, {}):
                    project.refresh()
        if failure is not None:
            raise failure

    async def _read(self, keys: Collection[ProjectKey]) -> dict[ProjectKey, _Reading]:
        return {key: await self._read_one(key) for key in keys}

    async def _read_one(self, key: ProjectKey) -> _Reading:
        self._readings += 1
        number = self._readings
        runs = await self._runs.list_runs(key.tenant, key.project_id, RUNS, None)
        return _Reading(number, tuple(map(summarise, runs)))

    def _open(self, key: ProjectKey) -> _Project:
        project = self._projects[key] = _Project(key, self._reads.get, self._list, self._keep_or_drop)
        return project

    def _list(self, project: _Project, before: _Reading) -> None:
        """Have the runs that the project was told now on the board, instead of those before."""
        for run in before.runs:
            self._listed.pop(RunKey(project.key.tenant, run.id), None)
        for run in project.told.runs:
            self._listed[RunKey(project.key.tenant, run.id)] = project

    def _keep_or_drop(self, project: _Project) -> None:
        if project.views or self._projects.get(project.key) is not project:
            return
        del self._projects[project.key]
        project.close()
        for run in project.told.runs:
            self._listed.pop(RunKey(project.key.tenant, run.id), None)
