"""Who asks, whether they may, and ids that are ids: the checks every endpoint makes before it does anything."""

from __future__ import annotations

import time
from typing import NamedTuple
from uuid import UUID

from quart import request
from quart.wrappers.base import BaseRequestWebsocket

from realtime.endpoints.backend import Backend
from realtime.events import RunKey
from realtime.ports import RefusedError
from realtime.roles import Action, may
from realtime.snapshot import RunSnapshot
from realtime.tokens import COOKIE, InvalidTokenError, Principal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What changes nothing. https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1"""


class Credentials(NamedTuple):
    """The token that a request or handshake brings, and whether the browser added it by itself, as a cookie."""

    token: str
    from_cookie: bool


def credentials_of(backend: Backend, asked: BaseRequestWebsocket) -> Credentials | None:
    """``Authorization: Bearer``, else the cookie; None: neither. What pages elsewhere send has no cookie to us."""
    scheme, _, bearer = asked.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return Credentials(bearer.strip(), from_cookie=False)
    cookie = asked.cookies.get(COOKIE)
    return Credentials(cookie, from_cookie=True) if cookie and not _comes_from_elsewhere(backend, asked) else None


def _comes_from_elsewhere(backend: Backend, asked: BaseRequestWebsocket) -> bool:
    origin = asked.headers.get("Origin")
    return origin is not None and not backend.origins.is_own(origin, asked.scheme, asked.host)


def check_own_origin(backend: Backend, asked: BaseRequestWebsocket, *, needed: bool) -> None:
    """As `check_origin`, but for our own pages only: others that are allowed sign nobody in or out here."""
    check_origin(backend, asked, needed=needed)
    if _comes_from_elsewhere(backend, asked):
        raise RefusedError(403, "FORBIDDEN", "Only this server's own pages may do that.")


def check_origin(backend: Backend, asked: BaseRequestWebsocket, *, needed: bool) -> None:
    """Let no page of an origin that is not allowed ask for anything, whoever it is that asks.

    ``needed``: the absence of an origin counts as foreign, too. That is for what a browser could be made to send with
    the cookie that it adds by itself.

    Raises:
        RefusedError: 403.

    """
    origin = asked.headers.get("Origin")
    if origin is None:
        if needed:
            raise RefusedError(403, "FORBIDDEN", "A cookie identifies only together with an Origin that is allowed.")
    elif not backend.origins.allows(origin, asked.scheme, asked.host):
        raise RefusedError(403, "FORBIDDEN", "This origin may not use this server.")


async def identify(backend: Backend) -> Principal:
    """Who sent the current request.

    An Origin must be an allowed one. A cookie identifies only what our own pages send, and needs their Origin where
    something is changed.

    Raises:
        RefusedError: 401 without a valid token, 403 from a foreign Origin, 429 beyond the requests per second, 503
            where a token cannot be checked now.

    """
    credentials = credentials_of(backend, request)
    by_cookie = credentials is not None and credentials.from_cookie
    check_origin(backend, request, needed=by_cookie and request.method not in SAFE_METHODS)
    if credentials is None:
        raise RefusedError(401, "NOT_AUTHENTICATED", "Sign in, or send a token as Authorization: Bearer.")
    try:
        principal = await backend.tokens.read(credentials.token)
    except InvalidTokenError as error:
        raise RefusedError(401, "NOT_AUTHENTICATED", str(error)) from None
    backend.quotas.request(principal, time.monotonic())
    return principal


async def authorize(backend: Backend, principal: Principal, project_id: str, action: Action) -> str:
    """The role that lets ``principal`` do ``action`` in the project.

    Raises:
        RefusedError: 404 where the tenant has no such project, 403 where the role does not allow it.

    """
    role = await backend.accounts.get_role(principal.tenant, project_id, principal.user_id)
    if role is not None and may(role, action):
        return role
    if role is None and not await backend.accounts.has_project(principal.tenant, project_id):
        raise RefusedError(404, "PROJECT_NOT_FOUND", "There is no such project.")
    raise RefusedError(403, "FORBIDDEN", f"Your role in this project does not allow to {action.replace('_', ' ')}.")


async def enter_project(backend: Backend, project_id: str, action: Action) -> tuple[Principal, str, str]:
    """Who sent the current request, the project's id in canonical form, and the role that allows ``action`` there.

    Raises:
        RefusedError: 401, 400 for an id that is none, 404 or 403.

    """
    principal = await identify(backend)
    project_id = parse_id(project_id, "project")
    role = await authorize(backend, principal, project_id, action)
    return principal, project_id, role


async def find_run(backend: Backend, principal: Principal, run_id: str, action: Action) -> RunSnapshot:
    """The run as it is now, for somebody who may do ``action`` with it.

    Raises:
        RefusedError: 404 where the tenant has no such run, 403 where the role does not allow it.

    """
    run = await backend.runs.get_run(RunKey(principal.tenant, run_id))
    if run is None:
        raise run_not_found()
    await authorize(backend, principal, run.project_id, action)
    return run


async def find_run_of(backend: Backend, principal: Principal, project_id: str, run_id: str) -> RunSnapshot:
    """The run of a project that was entered.

    Raises:
        RefusedError: 400, the id is none; 404, the project has no such run, whoever else may have it.

    """
    run = await backend.runs.get_run(RunKey(principal.tenant, parse_id(run_id, "run")))
    if run is None or run.project_id != project_id:
        raise run_not_found()
    return run


def run_not_found() -> RefusedError:
    """The answer for a run that is absent, another project's or another tenant's alike."""
    return RefusedError(404, "RUN_NOT_FOUND", "There is no such run.")


def asked_id(name: str, what: str) -> str | None:
    """The id of a ``what`` that the current request has under ``name`` in its query; None: it has none.

    Raises:
        RefusedError: 400, it is no id.

    """
    text = request.args.get(name)
    return None if text is None else parse_id(text, what)


def parse_id(text: str, what: str) -> str:
    """``text`` as the canonical form of the UUID it is.

    Raises:
        RefusedError: 400, it is none.

    """
    try:
        return str(UUID(text))
    except ValueError:
        raise RefusedError(400, "INVALID_ID", f"The {what} id must be a UUID.") from None
