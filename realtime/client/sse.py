"""Watching a run over Server-Sent Events: one response, from its request to its end. Retries nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import httpx2
import msgspec

from realtime.client.errors import ConnectionLostError, LinkLostError, ServerRefusedError, refusal_of_response
from realtime.client.items import Attached, Finished, LinkMessage, Pulse, Reset, RunEvent
from realtime.client.site import CONNECT_S, Site
from realtime.snapshot import RunSnapshot

GetRun = Callable[[str], Awaitable[RunSnapshot]]


class _Body(msgspec.Struct):
    type: str
    run_id: str
    payload: dict[str, Any]


_decode = msgspec.json.Decoder(_Body).decode


async def sse_messages(
    site: Site, run_id: str, cursor: int | None, silence_s: float, get_run: GetRun
) -> AsyncGenerator[LinkMessage, None]:
    """Events of the run after ``cursor`` (None: all), until the response ends.

    A reset brings the run as ``get_run`` reads it. After the terminal event, or where there is nothing to come, the
    generator ends. Closing it closes the response.

    Raises:
        LinkLostError: the response ended, or was silent for ``silence_s``.
        ServerRefusedError: the server will not serve this; asking again does not help.

    """
    headers = site.headers | ({"Last-Event-ID": str(cursor)} if cursor else {})
    timeout = httpx2.Timeout(CONNECT_S, read=silence_s)
    retry_after_s = 0.0
    try:
        async with site.http.sse(
            f"{site.url}/api/v1/events/agent-runs/{run_id}", headers=headers, timeout=timeout
        ) as source:
            if source.response.status_code == 204:
                yield Finished()
                return
            await _check(source.response)
            yield Attached()
            parts = cast("AsyncGenerator[httpx2.ServerSentEvent, None]", aiter(source))
            async with aclosing(parts):
                async for part in parts:
                    retry_after_s = retry_after_s if part.retry is None else part.retry / 1000
                    message = await _read(part, run_id, get_run)
                    if message is not None:
                        yield message
                    if isinstance(message, RunEvent) and message.terminal:
                        return
    except httpx2.SSEError as error:
        raise LinkLostError(str(error), unavailable=True) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise LinkLostError(f"no connection: {error}", counts=False) from None
    except httpx2.ReadTimeout:
        raise LinkLostError(f"nothing was heard for {silence_s:g} s") from None
    except httpx2.TransportError as error:
        raise LinkLostError(f"the connection broke: {error}", retry_after_s=retry_after_s) from None
    raise LinkLostError("the stream ended", retry_after_s=retry_after_s)


async def _check(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    if status in {408, 425, 429} or status >= 500:
        after = response.headers.get("retry-after", "")
        raise LinkLostError(
            f"the stream was answered with HTTP status {status}",
            retry_after_s=float(after) if after.isascii() and after.isdigit() else 0.0,
        )
    raise refusal_of_response(status, await response.aread())


async def _read(part: httpx2.ServerSentEvent, run_id: str, get_run: GetRun) -> LinkMessage | None:
    """What one SSE event means for this run; None: nothing.

    An event without id is a heartbeat or, in a reset, part of the state that ``get_run`` has whole.
    """
    if not part.data:
        return None
    try:
        body = _decode(part.data)
    except msgspec.DecodeError as error:
        raise LinkLostError(f"an event cannot be read: {error}") from None
    if body.type == "heartbeat":
        return Pulse()
    if isinstance(reset := body.payload.get("reset"), dict):
        return await _reset(run_id, str(reset.get("reason", "")), get_run)
    if body.run_id != run_id or not part.id:
        return None
    if not (part.id.isascii() and part.id.isdigit()):
        raise LinkLostError(f"an event has the id {part.id[:40]!r}, which is no number")
    return RunEvent(run_id, int(part.id), body.type, body.payload)


async def _reset(run_id: str, reason: str, get_run: GetRun) -> Reset:
    try:
        snapshot = await get_run(run_id)
    except ConnectionLostError as lost:
        raise LinkLostError(str(lost)) from None
    except ServerRefusedError as refused:
        if refused.status is not None and refused.status >= 500:
            raise LinkLostError(str(refused)) from None
        raise
    return Reset(run_id, snapshot.last_event_id, reason, snapshot)
