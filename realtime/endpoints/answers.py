"""JSON in and out: bodies that are checked against their type, answers, and errors in their one shape."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec
from quart import Response, request

from realtime.ports import RefusedError

Body = TypeVar("Body")

LONGEST_REASON = 95
"""Characters: long enough for every reason, but for one that repeats a long name of the client's."""


def answer(content: Any, status: int = 200) -> Response:
    """``content`` (structs, dicts, lists) as JSON; never cached, it may change at any moment."""
    response = Response(msgspec.json.encode(content), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def error_answer(error: RefusedError) -> Response:
    """The one shape of every error: ``{"error": CODE, "message": text}``."""
    response = answer({"error": error.code, "message": error.message}, error.status)
    response.headers.update(retry_headers(error))
    return response


def retry_headers(error: RefusedError) -> dict[str, str]:
    """The header that says when to come back, where that is known: in whole seconds, at least one."""
    return {} if error.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}


async def read_body(kind: type[Body]) -> Body:
    """The request's JSON body as a ``kind``.

    Raises:
        RefusedError: 400, it is not one; the message says where.

    """
    try:
        return msgspec.json.decode(await request.get_data(as_text=False), type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        reason = str(error)[:LONGEST_REASON]
        raise RefusedError(400, "BAD_REQUEST", f"The body is not as expected: {reason}") from None


def read_limit(default: int = 50, most: int = 200) -> int:
    """The ``limit`` in the query, 1 to ``most``.

    Raises:
        RefusedError: 400, it is no such number.

    """
    text = request.args.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise RefusedError(400, "BAD_REQUEST", f"limit must be a number from 1 to {most}.")
    return int(text)
