"""A run's events over SSE: from a cursor, live, until the run ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import partial
from uuid import UUID

from quart import Blueprint, Response, request

from realtime.asgi_outlet import AsgiOutlet
from realtime.cursor import Reset, ResetReason, parse_cursor
from realtime.direct_outlet import DirectOutlet
from realtime.endpoints.backend import Backend
from realtime.endpoints.body import at_end_of_request
from realtime.endpoints.guard import find_run, identify, parse_id
from realtime.endpoints.outlets import stream_outlet
from realtime.endpoints.start import find_start
from realtime.events import RunKey
from realtime.metrics import StreamEnd, Transport
from realtime.peer import Peer
from realtime.ports import Membership, RefusedError
from realtime.roles import Action
from realtime.snapshot import RunSnapshot, unfold
from realtime.sse import SSEEvent, build_sse_response, requested_cursor
from realtime.subscription import Ending
from realtime.tokens import Principal


def events_blueprint(backend: Backend) -> Blueprint:
    """``GET /api/v1/events/agent-runs/{run_id}``."""
    blueprint = Blueprint("events", __name__, url_prefix="/api/v1/events")

    @blueprint.get("/agent-runs/<run_id>")
    async def stream_run(run_id: str) -> Response:
        principal = await identify(backend)
        run_id = parse_id(run_id, "run")
        run = await find_run(backend, principal, run_id, Action.STREAM)
        asked = requested_cursor(request)
        cursor = 0 if asked is None else parse_cursor(asked)
        start = await find_start(backend.log, RunKey(principal.tenant, run_id), run, cursor)
        if run.ended and not isinstance(start, Reset) and start.cursor == run.last_event_id:
            return Response(status=204)
        _take_place(backend, principal)
        stream = _RunStream(backend, principal, run, stream_outlet(request.scope))
        response = build_sse_response(
            stream.events(start.cursor, start.reason if isinstance(start, Reset) else None, resumed=cursor != 0),
            UUID(run_id),
            heartbeat_s=backend.settings.heartbeat_s,
            stuck_s=backend.settings.stuck_timeout_s,
        )
        if request.method == "HEAD":
            response.set_data(b"")
            del response.headers["Content-Length"]  # of the body that GET has: RFC 9110, 8.6
        else:
            at_end_of_request(partial(_count_end, backend, stream, Peer.of(request.scope)))
        return response

    return blueprint


def _take_place(backend: Backend, principal: Principal) -> None:
    """Count the current request as a connection that watches a run, until it is over.

    Raises:
        TooManyError: there may be no more.

    """
    at_end_of_request(backend.quotas.connect(principal))
    at_end_of_request(backend.quotas.subscribe(principal))
    at_end_of_request(backend.metrics.connected(Transport.SSE))


def _count_end(backend: Backend, stream: _RunStream, peer: Peer) -> None:
    left = StreamEnd.STUCK if peer.aborted else StreamEnd.CLIENT
    backend.metrics.stream_ended(stream.end or left)


class _RunStream:
    """One viewer of one run. ``end`` is how it ended by itself."""

    def __init__(
        self,
        backend: Backend,
        principal: Principal,
        run: RunSnapshot,
        outlet: AsgiOutlet[bytes] | DirectOutlet[bytes],
    ) -> None:
        self._backend = backend
        self._principal = principal
        self._key = RunKey(principal.tenant, run.id)
        self._run = run
        self._outlet = outlet
        self.end: StreamEnd | None = None
        self._lost = False
        self._over = False

    async def events(
        self, cursor: int, reason: ResetReason | None, *, resumed: bool = False
    ) -> AsyncGenerator[bytes | DirectOutlet[bytes], None]:
        """The state now where a reset is due, then every event after ``cursor``, until there can be no more.

        They leave past this generator where the connection can be lent: then it gives the outlet that does it.
        ``resumed``: the viewer came with a cursor, which is counted.
        """
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(max(0.0, self._principal.expires_at - time.time()), self._stop, StreamEnd.EXPIRED)
        gone = self._backend.broadcaster.on_drain(partial(self._finish, StreamEnd.DRAINED))
        membership = Membership(self._principal.tenant, self._run.project_id, self._principal.user_id)
        leave = self._backend.access.watch(membership, self._forbid)
        subscription = None
        try:
            if reason is not None:
                self._backend.metrics.reset(reason, resumed=resumed)
                yield reset_wire(self._run, reason)
            if reason is not None and self._run.ended:
                self._finish(StreamEnd.FINISHED)
            else:
                subscription = self._backend.broadcaster.subscribe(
                    self._key,
                    cursor,
                    self._outlet,
                    self._on_end,
                    head=self._run.last_event_id,
                    resumed=resumed and reason is None,
                )
                if isinstance(self._outlet, AsgiOutlet):
                    async for wire in self._outlet:
                        yield wire
                else:
                    yield self._outlet
            if self._lost:
                run = await self._find_run()
                if run is not None:
                    self._backend.metrics.reset(ResetReason.EXPIRED, resumed=False)
                    yield reset_wire(run, ResetReason.EXPIRED)
        finally:
            expiry.cancel()
            leave()
            gone()
            if subscription is not None:
                subscription.close()

    def _forbid(self) -> None:
        """The user's role was taken away, or is now one that may not watch."""
        self._backend.metrics.access_revoked()
        self._stop(StreamEnd.FORBIDDEN)

    def _stop(self, end: StreamEnd) -> None:
        """The viewer may see nothing more, not even what waits."""
        self.end = self.end or end
        self._over = True
        self._outlet.cut()

    async def _find_run(self) -> RunSnapshot | None:
        """The run as it is now; None where there is none any more, or not for this viewer."""
        try:
            run = await find_run(self._backend, self._principal, self._key.run_id, Action.STREAM)
        except RefusedError as error:
            if error.status not in {403, 404}:
                raise
            return None
        return None if self._over else run

    def _on_end(self, ending: Ending) -> None:
        self._lost = ending is Ending.LOST
        self._finish(StreamEnd[ending.name])

    def _finish(self, end: StreamEnd) -> None:
        """Nothing follows what waits. The first reason to end is the one that counts."""
        self.end = self.end or end
        self._outlet.finish()


def reset_wire(run: RunSnapshot, reason: ResetReason) -> bytes:
    """The state of ``run`` as events: the first says to forget, only the last has an id, so half of it is nothing."""
    facts = list(unfold(run))
    events = []
    for index, (kind, payload) in enumerate(facts):
        mark = {"reset": {"reason": reason, "cursor": run.last_event_id}} if index == 0 else {}
        last = index == len(facts) - 1
        events.append(
            SSEEvent(
                type=kind, run_id=UUID(run.id), payload={**payload, **mark}, id=run.last_event_id if last else None
            ).to_wire()
        )
    return b"".join(events)
