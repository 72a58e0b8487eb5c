"""What the orchestrator and its store raise, as the refusals that delivery tells its clients."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

import structlog

from orchestrator.errors import OrchestratorError, QuotaExceededError, StoreError
from realtime.ports import RefusedError, UnavailableError
from realtime.quotas import Resource, Scope, TooManyError

_log = structlog.get_logger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

STATUS_OF_CODE = {
    "PROJECT_NOT_FOUND": 404,
    "RUN_NOT_FOUND": 404,
    "RUN_ID_CONFLICT": 409,
    "NOT_RETRIABLE": 409,
    "DOCUMENT_TOO_LARGE": 413,
    "PROJECT_TOO_LARGE": 413,
    "BUDGET_EXCEEDED": 402,
    "INTERNAL": 500,
}
"""HTTP status for the codes of `OrchestratorError`; every other is 400."""

QUOTA_RETRY_S = 30.0
"""Room comes back when a run ends or a document is deleted: nobody knows when that is, and asking costs little."""


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what a client can be told into `RefusedError`; what is a fault of ours is raised on."""
    try:
        yield
    except StoreError as error:
        _log.warning("the store failed", error=str(error))
        raise UnavailableError from error
    except QuotaExceededError as error:
        resource, scope = Resource(error.resource), Scope(error.scope)
        raise TooManyError(resource, scope, error.limit, "", QUOTA_RETRY_S) from error
    except OrchestratorError as error:
        status = STATUS_OF_CODE.get(error.code, 400)
        if status >= 500:
            raise
        raise RefusedError(status, error.code, str(error)) from error


def refusing(method: Callable[Given, Coroutine[Any, Any, Result]]) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """``method`` inside of `refusals`."""

    @functools.wraps(method)
    async def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with refusals():
            return await method(*args, **kwargs)

    return call
