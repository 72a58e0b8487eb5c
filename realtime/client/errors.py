"""What can go wrong for a user of ``RunClient``: one tree, and the one internal ending that is retried."""

from __future__ import annotations

import msgspec


class RunClientError(Exception):
    """Anything that ``RunClient`` raises by itself."""


class ConnectionLostError(RunClientError):
    """The server could not be reached: by one request, or by a watch within the ``max_wait`` it was given."""


class ServerRefusedError(RunClientError):
    """The server answered, and its answer is no: ``code`` is stable, ``message`` is for people.

    ``status`` is that of HTTP where the answer came that way.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class NotAuthenticatedError(ServerRefusedError):
    """There is no token, or it is not valid any more."""


class ForbiddenError(ServerRefusedError):
    """The token's user may not do this."""


class RunNotFoundError(ServerRefusedError):
    """There is no such run, or it is another tenant's."""


class LinkLostError(Exception):
    """A connection ended and another may carry on: never seen outside the client.

    ``unavailable``: this transport cannot be had here at all. ``counts`` is False where the ending says nothing about
    the transport, because the server itself was out of reach. ``retry_after_s``: not before that.
    """

    def __init__(
        self, reason: str, *, retry_after_s: float = 0.0, unavailable: bool = False, counts: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.unavailable = unavailable
        self.counts = counts


_BY_CODE: dict[str, type[ServerRefusedError]] = {
    "NOT_AUTHENTICATED": NotAuthenticatedError,
    "FORBIDDEN": ForbiddenError,
    "RUN_NOT_FOUND": RunNotFoundError,
}
_BY_STATUS: dict[int, type[ServerRefusedError]] = {401: NotAuthenticatedError, 403: ForbiddenError}


def refusal(code: str, message: str, status: int | None = None) -> ServerRefusedError:
    """The most telling error for that answer."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status or 0) or ServerRefusedError
    return kind(code, message, status)


class _ErrorBody(msgspec.Struct):
    error: str
    message: str = ""


def refusal_of_response(status: int, content: bytes) -> ServerRefusedError:
    """The error for an HTTP answer of 300 or above; one that is not the server's own is called ``HTTP_{status}``."""
    try:
        body = msgspec.json.decode(content, type=_ErrorBody)
    except msgspec.DecodeError:
        return refusal(f"HTTP_{status}", f"the answer has HTTP status {status}", status)
    return refusal(body.error, body.message, status)
