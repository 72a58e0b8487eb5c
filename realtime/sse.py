"""Server-sent events: the wire, the response, and the cursor that a request brings.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from quart import Request, Response, request

from realtime.direct_outlet import DirectOutlet
from realtime.events import encode_body, encode_sse, event_type, heartbeat_sse
from realtime.peer import Peer

HEARTBEAT_S = 15.0
STUCK_S = 30.0
RETRY_MS = 2000


class SSEEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event for an SSE stream; without ``id`` it leaves the reader's cursor where it is."""

    type: str
    run_id: UUID
    payload: dict[str, Any]
    id: int | None = None

    def to_wire(self) -> bytes:
        """The bytes of the event: one data line, compact JSON, the keys type, run_id and payload.

        Raises:
            InvalidEventError: the type is none of ``EventType``.

        """
        payload = msgspec.json.encode(self.payload).decode()
        return encode_sse(encode_body(event_type(self.type), str(self.run_id), payload), self.id)


Item = SSEEvent | bytes | DirectOutlet[bytes]
"""What a stream is made of: an event, bytes that are whole events, or the outlet by which others leave."""


def build_sse_response(
    event_generator: AsyncGenerator[Item, None],
    run_id: UUID,
    *,
    heartbeat_s: float = HEARTBEAT_S,
    stuck_s: float = STUCK_S,
    retry_ms: int = RETRY_MS,
) -> Response:
    """A streaming response of everything ``event_generator`` yields: events, or bytes that are whole events already.

    Where it yields an outlet, the connection is lent to that until it is finished; then the generator goes on.
    Headers and ``retry:`` leave at once. Each ``heartbeat_s`` seconds of silence a heartbeat is sent, for which the
    generator is neither woken nor cancelled. The stream ends when the generator does; when the viewer leaves, the
    generator is closed; a viewer that takes nothing for ``stuck_s`` seconds is cut off. Called while a request is
    handled: HTTP/1.1 alone has a ``Connection`` header.
    """
    peer = Peer.of(request.scope)
    stream = _stream(
        event_generator,
        _Heartbeat(heartbeat_sse(str(run_id)), heartbeat_s, stuck_s, peer.abort),
        partial(_cut_after, peer, stuck_s),
        retry_ms,
    )
    response = Response(stream, content_type="text/event-stream")
    response.timeout = None
    response.headers["Cache-Control"] = "no-cache, no-transform"
    response.headers["X-Accel-Buffering"] = "no"
    if request.http_version == "1.1":
        response.headers["Connection"] = "keep-alive"
    return response


@contextlib.contextmanager
def _cut_after(peer: Peer, seconds: float) -> Iterator[None]:
    timer = asyncio.get_running_loop().call_later(seconds, peer.abort)
    try:
        yield
    finally:
        timer.cancel()


async def _stream(
    source: AsyncGenerator[Item, None],
    heartbeat: _Heartbeat,
    sending: Callable[[], AbstractContextManager[None]],
    retry_ms: int,
) -> AsyncIterator[bytes]:
    pending: asyncio.Task[Item] | None = None
    try:
        with sending():
            yield f"retry: {retry_ms}\n\n".encode()
        while True:
            pending = pending or asyncio.ensure_future(_next(source))
            await asyncio.wait({pending}, timeout=heartbeat.every_s)
            if not pending.done():
                with sending():
                    yield heartbeat.wire
                continue
            try:
                item = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            if isinstance(item, DirectOutlet):
                await heartbeat.keep(item)
                continue
            with sending():
                yield item if isinstance(item, bytes) else item.to_wire()
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await source.aclose()


async def _next(source: AsyncGenerator[Item, None]) -> Item:
    return await anext(source)


class _Heartbeat:
    """``wire`` breaks the silence of a stream each ``every_s`` seconds."""

    def __init__(self, wire: bytes, every_s: float, stuck_s: float, abort: Callable[[], None]) -> None:
        self.wire = wire
        self.every_s = every_s
        self._stuck_s = stuck_s
        self._abort = abort

    async def keep(self, outlet: DirectOutlet[bytes]) -> None:
        """Have it leave by ``outlet`` until that is finished; a viewer that is stuck is cut off."""
        timer: asyncio.Handle
        loop = asyncio.get_running_loop()

        def beat() -> None:
            nonlocal timer
            now = time.monotonic()
            stuck_at = (outlet.stalled_since or now) + self._stuck_s
            if now >= stuck_at:
                self._abort()
            if outlet.lost or now >= stuck_at:
                outlet.finish()  # the server's reader may be held up, and not have noticed
                return
            beat_at = outlet.sent_at + self.every_s
            if now >= beat_at:
                if outlet.stalled_since is None:
                    outlet.send(self.wire)
                beat_at = now + self.every_s
            timer = loop.call_later(min(stuck_at, beat_at) - now, beat)

        timer = loop.call_soon(beat)
        try:
            await outlet.wait_finished()
        finally:
            timer.cancel()


def requested_cursor(asked: Request) -> str | None:
    """The cursor a request brings, unparsed: ``Last-Event-ID`` header, else ``last_event_id`` in the query.

    The header wins: an EventSource repeats its URL on every reconnect. An empty header is none.
    """
    return asked.headers.get("Last-Event-ID") or asked.args.get("last_event_id")
