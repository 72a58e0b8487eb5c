"""What a WebSocket client can ask about projects: to be told their runs, and to be told no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import authorize
from realtime.endpoints.identity import too_many
from realtime.endpoints.watch import check_room
from realtime.events import ProjectKey
from realtime.frames import ErrorCode, ProjectUnwatched, UnwatchProject, WatchProject
from realtime.outlet import MessageOutlet
from realtime.ports import Membership, RefusedError
from realtime.protocol import ProtocolError, error_frame
from realtime.quotas import TooManyError
from realtime.roles import Action
from realtime.tokens import Principal

_REFUSALS = {403: ErrorCode.FORBIDDEN, 404: ErrorCode.PROJECT_NOT_FOUND}
"""What a watch is refused with; any other status is a failure of the server."""


class ProjectCommands:
    """The projects that one connection watches. What is told of them leaves through its outlet.

    ``fail`` ends the connection where nothing more can be sent on it; ``runs`` counts the runs that it watches.
    """

    def __init__(
        self, backend: Backend, outlet: MessageOutlet, fail: Callable[[], None], runs: Callable[[], int]
    ) -> None:
        self._backend = backend
        self._outlet = outlet
        self._fail = fail
        self._runs = runs
        self._watches: dict[str, ExitStack] = {}
        """By project, what ends the watch."""

    def __len__(self) -> int:
        return len(self._watches)

    async def obey(self, command: WatchProject | UnwatchProject, principal: Principal) -> None:
        """Do what the client asks.

        Raises:
            ProtocolError: it cannot be done; nothing has changed.

        """
        if isinstance(command, WatchProject):
            await self._watch(command, principal)
        else:
            self._unwatch(command)

    async def _watch(self, command: WatchProject, principal: Principal) -> None:
        key = ProjectKey(principal.tenant, str(command.project_id))
        others = len(self._watches.keys() - {key.project_id})
        check_room(others + self._runs(), self._backend.limits, command.ref, project_id=key.project_id)
        try:
            await authorize(self._backend, principal, key.project_id, Action.STREAM)
        except RefusedError as error:
            code = _REFUSALS.get(error.status)
            if code is None:
                raise
            raise ProtocolError(code, error.message, ref=command.ref, project_id=key.project_id) from None
        await self._begin(command, principal, key)

    async def _begin(self, command: WatchProject, principal: Principal, key: ProjectKey) -> None:
        """A watch of the project in place of the one there may be."""
        self._end(key.project_id)
        with ExitStack() as watch:
            try:
                watch.callback(self._backend.quotas.subscribe(principal))
            except TooManyError as error:
                raise too_many(error, command.ref, project_id=key.project_id) from None
            view = await self._backend.board.watch(key, self._outlet, self._fail, ref=command.ref)
            watch.callback(view.close)
            membership = Membership(key.tenant, key.project_id, principal.user_id)
            watch.callback(self._backend.access.watch(membership, partial(self._forbid, key.project_id)))
            self._watches[key.project_id] = watch.pop_all()

    def _forbid(self, project_id: str) -> None:
        """The user's role was taken away, or is now one that may not watch."""
        if self._end(project_id):
            self._backend.metrics.access_revoked()
            message = "Your role in this project no longer allows to stream."
            error = ProtocolError(ErrorCode.FORBIDDEN, message, project_id=project_id)
            self._outlet.send(error_frame(error).encode())

    def _unwatch(self, command: UnwatchProject) -> None:
        project_id = str(command.project_id)
        if not self._end(project_id):
            raise ProtocolError(
                ErrorCode.NOT_SUBSCRIBED,
                "this connection does not watch that project",
                ref=command.ref,
                project_id=project_id,
            )
        self._outlet.send(ProjectUnwatched(project_id=project_id, ref=command.ref).encode())

    def _end(self, project_id: str) -> bool:
        """End the watch of that project; False: there was none."""
        watch = self._watches.pop(project_id, None)
        if watch is None:
            return False
        watch.close()
        return True

    def close(self) -> None:
        """End every watch."""
        for project_id in tuple(self._watches):
            self._end(project_id)
