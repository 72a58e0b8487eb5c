"""A name for every request, and one line of what became of it.

All that is logged while a request or a WebSocket connection is served carries its ``request_id``.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from realtime.asgi import Application, Message, Receive, Scope, Send, header_lines
from realtime.metrics import Metrics

_log = structlog.get_logger(__name__)

HEADER = b"x-request-id"
LONGEST_PATH = 200
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_STARTS = {"http.response.start", "websocket.http.response.start"}
_FAILED = msgspec.json.encode({"error": "INTERNAL", "message": "The server failed; the failure was logged."})


class RequestLog:
    """An application that tells each request its id, in ``X-Request-Id``, and counts it.

    A request that brings such an id keeps it, where it is short and plain. What the application raises is answered
    with 500, as long as there was no answer, and raised no further.
    """

    def __init__(self, app: Application, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        answer = _Answer(send, request_id, partial(self._metrics.answered, scope.get("method", "GET")))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer.send)
            except Exception:
                _log.exception("a request failed outside of its handler")
                await answer.fail(scope["type"])
            finally:
                _tell(scope, answer)


def _tell(scope: Scope, answer: _Answer) -> None:
    """Log the end of a request, its path as it was sent: encoded, and without the query, which may be secret."""
    log = _log.info if answer.status is not None and answer.status >= 500 else _log.debug
    path = scope.get("raw_path") or scope["path"].encode()
    log(
        "request",
        method=scope.get("method", "GET"),
        path=path.decode("ascii", "backslashreplace")[:LONGEST_PATH],
        status=answer.status,
        ms=round(1000 * answer.elapsed_s(), 1),
    )


class _Answer:
    """What is sent for one request; ``status`` is 101 for an accepted WebSocket, None as long as nothing was sent.

    ``on_head`` is told the status of an HTTP answer, and after how many seconds it begins.
    """

    def __init__(self, send: Send, request_id: str, on_head: Callable[[int, float], None]) -> None:
        self.status: int | None = None
        self._on_head = on_head
        self._send = send
        self._request_id = request_id
        self._since = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self._since

    async def send(self, message: Message) -> None:
        """Send on, with the request's id in the head."""
        if message["type"] in _STARTS or message["type"] == "websocket.accept":
            self.status = message.get("status", 101)
            if message["type"] in _STARTS:
                self._on_head(message["status"], self.elapsed_s())
            message = {**message, "headers": [*message.get("headers", ()), (HEADER, self._request_id.encode())]}
        await self._send(message)

    async def fail(self, kind: str) -> None:
        """Answer with 500, where nothing was answered."""
        if self.status is not None:
            return
        prefix = "http" if kind == "http" else "websocket.http"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_FAILED)).encode())]
        await self.send({"type": f"{prefix}.response.start", "status": 500, "headers": headers})
        await self.send({"type": f"{prefix}.response.body", "body": _FAILED, "more_body": False})


def _request_id(scope: Scope) -> str:
    brought = header_lines(scope, HEADER)
    if len(brought) == 1 and _ID.fullmatch(brought[0]):
        return brought[0]
    return secrets.token_hex(8)
