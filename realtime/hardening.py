"""Headers that keep browsers strict, on every answer: pages, JSON, streams, files, errors, refused handshakes.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from realtime.asgi import Application, Message, Receive, Scope, Send

_STARTS = {"http.response.start", "websocket.http.response.start"}
_SECURE = {"https", "wss"}

ALWAYS = {
    "x-content-type-options": "nosniff",
    # Not no-referrer: with that, browsers send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
PAGES = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
OTHERS = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
SECURE = {"strict-transport-security": "max-age=31536000"}
"""Only where the browser came by https: elsewhere it means nothing."""


class Hardened:
    """An application whose every answer has these headers, where it does not set them itself.

    ``https``: browsers are known to come by it, whatever the last hop looks like.
    """

    def __init__(self, app: Application, *, https: bool = False) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def send_hardened(message: Message) -> None:
            if message["type"] in _STARTS:
                secure = self._https or scope["scheme"] in _SECURE
                message = {**message, "headers": _harden(message.get("headers", ()), scope["path"], secure=secure)}
            await send(message)

        await self._app(scope, receive, send_hardened)


def _harden(headers: Iterable[tuple[bytes, bytes]], path: str, *, secure: bool) -> list[tuple[bytes, bytes]]:
    set_already = [(name.lower(), value) for name, value in headers]
    there = dict(set_already)
    page = there.get(b"content-type", b"").startswith(b"text/html")
    wanted = _wanted(page=page, shared=path.startswith("/static/"), secure=secure)
    return [*set_already, *(header for header in wanted if header[0] not in there)]


@cache
def _wanted(*, page: bool, shared: bool, secure: bool) -> Sequence[tuple[bytes, bytes]]:
    """What an answer of that sort should have; the same objects each time, for streams keep them to their end."""
    wanted = {
        **ALWAYS,
        **(PAGES if page else OTHERS),
        **(SECURE if secure else {}),
        # Answers are for our own pages and, by CORS, for those of allowed origins; modules and styles are for any.
        "cross-origin-resource-policy": "cross-origin" if shared else "same-origin",
    }
    return [(name.encode(), value.encode()) for name, value in wanted.items()]
