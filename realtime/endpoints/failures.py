"""Clients that do not say who they are: counted by address, and held up where there are too many.

Only failures count: a valid token is always served, so many people may share one address.
"""

from __future__ import annotations

import time

from quart import Quart, Response, request
from quart.wrappers.base import BaseRequestWebsocket

from realtime.endpoints.answers import error_answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import credentials_of
from realtime.metrics import FailureReason
from realtime.quotas import TooManyError

SIGN_IN = {"/sign-in", "/api/v1/session"}


def address_of(asked: BaseRequestWebsocket) -> str:
    """The address of the client; all that have none count as one."""
    client = asked.scope.get("client")
    return client[0] if client else ""


def count_failures(app: Quart, backend: Backend) -> None:
    """Have every 401 of ``app`` counted; beyond the quota it becomes a 429, and signing in is not even tried."""

    @app.before_request
    async def check() -> None:
        if request.method == "POST" and request.path in SIGN_IN:
            backend.quotas.check_failures(address_of(request), time.monotonic())

    @app.after_request
    async def count(response: Response) -> Response:
        if response.status_code != 401:
            return response
        backend.metrics.authentication_failed(_reason(backend))
        try:
            backend.quotas.fail(address_of(request), time.monotonic())
        except TooManyError as error:
            return error_answer(error)
        return response


def _reason(backend: Backend) -> FailureReason:
    if request.path in SIGN_IN:
        return FailureReason.SIGN_IN
    return FailureReason.MISSING if credentials_of(backend, request) is None else FailureReason.INVALID
