"""What a WebSocket client can ask about runs: subscribe, unsubscribe, ack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog
from msgspec import UNSET

from realtime.cursor import Reset, ResetReason, parse_cursor
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import find_run
from realtime.endpoints.identity import too_many
from realtime.endpoints.start import find_start
from realtime.endpoints.watch import Watch, WatchList
from realtime.events import RunKey
from realtime.frames import (
    Ack,
    Acked,
    ErrorCode,
    Finished,
    Ref,
    ResetFrame,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from realtime.outlet import MessageOutlet
from realtime.ports import Ack as KeptAck
from realtime.ports import Membership, RefusedError
from realtime.protocol import ProtocolError, error_frame, judge_ack
from realtime.quotas import TooManyError
from realtime.roles import Action
from realtime.snapshot import RunSnapshot, terminal_event
from realtime.subscription import Ending
from realtime.tokens import Principal

_log = structlog.get_logger(__name__)

_REFUSALS = {403: ErrorCode.FORBIDDEN, 404: ErrorCode.RUN_NOT_FOUND}
"""What a subscription is refused with; any other status is a failure of the server."""
ACKS_EVERY_S = 1.0
"""Acks are kept at most so often; what came since is kept when the run or the connection is left."""


class RunCommands:
    """The runs that one connection watches. Answers and events leave through its outlet, in order.

    ``fail`` ends the connection where a run, by its id, can no longer be served on it; ``projects`` counts the
    projects that it watches.
    """

    def __init__(
        self, backend: Backend, outlet: MessageOutlet, fail: Callable[[str], None], projects: Callable[[], int]
    ) -> None:
        self._backend = backend
        self._outlet = outlet
        self._fail = fail
        self._watches = WatchList(backend.broadcaster, outlet, backend.limits, projects)
        self._unsaved: dict[tuple[RunKey, str], KeptAck] = {}
        self._saving: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many runs are watched of which more may come."""
        return self._watches.live

    async def obey(self, command: Subscribe | Unsubscribe | Ack, principal: Principal) -> None:
        """Do what the client asks.

        Raises:
            ProtocolError: it cannot be done; nothing has changed.

        """
        match command:
            case Subscribe():
                await self._subscribe(command, principal)
            case Unsubscribe():
                await self._unsubscribe(command)
            case Ack():
                self._ack(command)

    async def _subscribe(self, command: Subscribe, principal: Principal) -> None:
        key = RunKey(principal.tenant, str(command.run_id))
        self._watches.check_room(key.run_id, command.ref)
        try:
            run = await find_run(self._backend, principal, key.run_id, Action.STREAM)
        except RefusedError as error:
            code = _REFUSALS.get(error.status)
            if code is None:
                raise
            raise ProtocolError(code, error.message, ref=command.ref, run_id=key.run_id) from None
        cursor, given = await self._requested_cursor(command, key, principal, run)
        start = await find_start(self._backend.log, key, run, cursor)
        watch = self._begin(command, principal, run, start.cursor)
        resumed = given and cursor != 0
        if isinstance(start, Reset):
            self._backend.metrics.reset(start.reason, resumed=resumed)
            self._tell_state(run, start.reason, command.ref)
        else:
            subscribed = Subscribed(
                run_id=key.run_id,
                snapshot=run,
                cursor=start.cursor,
                head=run.last_event_id,
                resumed=given,
                ref=command.ref,
            )
            self._outlet.send(subscribed.encode())
        self._follow(watch, run, resumed=resumed and not isinstance(start, Reset))

    def _begin(self, command: Subscribe, principal: Principal, run: RunSnapshot, cursor: int) -> Watch:
        """A watch of ``run`` in place of the one there may be."""
        self._watches.remove(run.id)
        try:
            give_back = self._backend.quotas.subscribe(principal)
        except TooManyError as error:
            raise too_many(error, command.ref, run.id) from None
        membership = Membership(principal.tenant, run.project_id, principal.user_id)
        leave = self._backend.access.watch(membership, lambda: self._forbid(run.id))
        key = RunKey(principal.tenant, run.id)
        watch = Watch(key, cursor, principal.user_id, command.client_id, give_back=give_back, on_close=leave)
        self._watches.add(watch)
        return watch

    async def _requested_cursor(
        self, command: Subscribe, key: RunKey, principal: Principal, run: RunSnapshot
    ) -> tuple[int | None, bool]:
        """The cursor (None: malformed), and whether the client gave one, now or by an ack that was kept."""
        if command.last_event_id is not UNSET and command.last_event_id is not None:
            return parse_cursor(command.last_event_id), True
        if command.client_id is not None:
            await self.save_acks()
            acked = await self._backend.log.get_ack(key, principal.user_id, command.client_id)
            if acked is not None:
                return acked, True
        return (run.last_event_id if command.start == "now" else 0), False

    def _follow(self, watch: Watch, run: RunSnapshot, *, resumed: bool = False) -> None:
        if run.ended and watch.cursor >= run.last_event_id:
            watch.finish()
            self._outlet.send(Finished(run_id=run.id).encode())
        else:
            self._watches.follow(watch, run.last_event_id, self._on_end, resumed=resumed)

    def _on_end(self, watch: Watch, ending: Ending) -> None:
        if ending is Ending.FINISHED:
            watch.finish()
            self._outlet.send(Finished(run_id=watch.key.run_id).encode())
            return
        if ending is Ending.FAILED:
            self._fail(watch.key.run_id)
            return
        self._spawn(self._reset(watch))

    async def _reset(self, watch: Watch) -> None:
        """The log lost what the watch was due: tell the state now, and go on from there."""
        try:
            run = await self._backend.runs.get_run(watch.key)
        except Exception:
            _log.exception("a reset cannot be read", run_id=watch.key.run_id)
            self._fail(watch.key.run_id)
            return
        if run is None or self._watches.get(watch.key.run_id) is not watch:
            return
        watch.jump(run.last_event_id)
        self._backend.metrics.reset(ResetReason.EXPIRED, resumed=False)
        self._tell_state(run, ResetReason.EXPIRED)
        self._follow(watch, run)

    def _tell_state(self, run: RunSnapshot, reason: ResetReason, ref: Ref = None) -> None:
        """Reset the client to the run as it is now; of one that has ended, the terminal event is a part of that."""
        head = run.last_event_id
        self._outlet.send(ResetFrame(run_id=run.id, reason=reason, snapshot=run, cursor=head, ref=ref).encode())
        if run.ended:
            self._outlet.send(terminal_event(run).text)

    def _forbid(self, run_id: str) -> None:
        """The user's role was taken away, or is now one that may not watch."""
        if self._watches.remove(run_id) is not None:
            self._backend.metrics.access_revoked()
            message = "Your role in this project no longer allows to stream."
            self._outlet.send(error_frame(ProtocolError(ErrorCode.FORBIDDEN, message, run_id=run_id)).encode())

    async def _unsubscribe(self, command: Unsubscribe) -> None:
        run_id = str(command.run_id)
        if self._watches.remove(run_id) is None:
            raise _not_subscribed(command)
        await self.save_acks()
        self._outlet.send(Unsubscribed(run_id=run_id, ref=command.ref).encode())

    def _ack(self, command: Ack) -> None:
        watch = self._watches.get(str(command.run_id))
        if watch is None:
            raise _not_subscribed(command)
        if judge_ack(command, cursor=watch.cursor, acked=watch.acked):
            watch.acked = command.event_id
            if watch.client_id is not None:
                kept = KeptAck(watch.key, watch.user_id, watch.client_id, watch.acked)
                self._unsaved[watch.key, watch.client_id] = kept
                self._save_soon()
        self._outlet.send(Acked(run_id=watch.key.run_id, event_id=watch.acked, ref=command.ref).encode())

    def _save_soon(self) -> None:
        """Keep acks a little after they come."""
        if self._saving is None:
            loop = asyncio.get_running_loop()
            self._saving = loop.call_later(ACKS_EVERY_S, lambda: self._spawn(self.save_acks()))

    async def save_acks(self) -> None:
        """Keep every ack that was received. One that cannot be kept is lost: the viewer then sees more again."""
        unsaved, self._unsaved = self._unsaved, {}
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        if not unsaved:
            return
        try:
            await self._backend.log.save_acks(list(unsaved.values()))
        except Exception:
            _log.warning("acks could not be kept", exc_info=True)

    def close(self) -> None:
        """End every subscription; acks can still be saved."""
        for task in self._tasks:
            task.cancel()
        self._watches.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` until it is done or the connection ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _not_subscribed(command: Unsubscribe | Ack) -> ProtocolError:
    return ProtocolError(
        ErrorCode.NOT_SUBSCRIBED,
        "this connection does not watch that run",
        ref=command.ref,
        run_id=str(command.run_id),
    )
