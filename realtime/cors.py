"""What lets pages of allowed origins read answers: cross-origin resource sharing.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from realtime.asgi import Application, Message, Receive, Scope, Send, header_lines
from realtime.origins import Origins

SHARED = ("/api/v1/", "/static/")
"""The API, and the modules that a page elsewhere imports; never the pages for people."""
METHODS = ("DELETE", "GET", "HEAD", "POST")
ASKED_HEADERS = ("Authorization", "Content-Type", "Last-Event-ID")
"""What a page may send beyond what every page may."""
SHOWN_HEADERS = ("Location", "Retry-After", "X-Request-Id")
"""What a page may read beyond what every page may."""
PREFLIGHT_S = 3600
"""How long a browser may remember that it was allowed."""


class CrossOrigin:
    """An application whose every answer, errors and streams included, allowed origins can read, and no others.

    Each is told its own name, never ``*``; caches are told that answers differ. They identify themselves with
    ``Authorization``, which their scripts set: cookies are not allowed, and no answer to one is readable.
    A preflight of theirs is answered here, with 204 and before anybody is asked for identity. Whether a request is
    obeyed is not decided here: CORS only hides answers.
    """

    def __init__(self, app: Application, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(SHARED):
            await self._app(scope, receive, send)
            return
        origin = next(iter(header_lines(scope, b"origin")), None)
        if origin is None or not self._origins.embeds(origin):
            await self._app(scope, receive, _adding({"Vary": "Origin"}, send))
        elif scope["method"] == "OPTIONS" and header_lines(scope, b"access-control-request-method"):
            await _answer_preflight(origin, send)
        else:
            shown = {"Access-Control-Expose-Headers": ", ".join(SHOWN_HEADERS)}
            await self._app(scope, receive, _adding({**_allow(origin), **shown}, send))


def _allow(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _adding(headers: dict[str, str], send: Send) -> Send:
    """``send`` with ``headers`` added to the head of the answer."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_encoded(headers)]}
        await send(message)

    return send_more


async def _answer_preflight(origin: str, send: Send) -> None:
    headers = {
        **_allow(origin),
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(ASKED_HEADERS),
        "Access-Control-Max-Age": str(PREFLIGHT_S),
    }
    await send({"type": "http.response.start", "status": 204, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
