"""Signing in and out: a token becomes a cookie that scripts cannot read; a one-time link becomes a token."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypedDict

import msgspec
from quart import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from realtime.endpoints.answers import answer, read_body
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import check_own_origin
from realtime.endpoints.return_path import page_path
from realtime.ports import RefusedError
from realtime.tokens import COOKIE, InvalidTokenError, Principal, hash_code

MAX_COOKIE_BYTES = 4000
"""Of the token in a cookie; browsers take 4096 with its name. https://www.rfc-editor.org/rfc/rfc6265#section-6.1"""
MAX_COOKIE_S = 400 * 24 * 3600
"""Browsers keep none for longer. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-5.5"""


class _Attributes(TypedDict):
    path: str
    httponly: bool
    samesite: str
    secure: bool


class SessionToken(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants to sign in."""

    token: str


def session_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/session`` for programs, ``/sign-in`` and ``/sign-out`` for people."""
    blueprint = Blueprint("session", __name__)

    @blueprint.post("/api/v1/session")
    async def open_session() -> Response:
        check_own_origin(backend, request, needed=COOKIE in request.cookies)
        token = (await read_body(SessionToken)).token
        principal = await _read_token(backend, token)
        response = answer({"tenant": principal.tenant, "email": principal.email, "expires_at": principal.expires_at})
        _set_cookie(backend, response, token, principal)
        return response

    @blueprint.delete("/api/v1/session")
    async def close_session() -> Response:
        check_own_origin(backend, request, needed=COOKIE in request.cookies)
        response = Response(status=204)
        _clear_cookie(backend, response)
        return response

    @blueprint.get("/sign-in")
    async def show_sign_in() -> str:
        return await _sign_in_page(request.args, code=request.args.get("code", ""))

    @blueprint.post("/sign-in")
    async def sign_in() -> Response | WerkzeugResponse:
        check_own_origin(backend, request, needed=True)
        form = await request.form
        try:
            token = await _spend(backend, form.get("code", "")) or form.get("token", "").strip()
            principal = await _read_token(backend, token)
        except RefusedError as error:
            return Response(await _sign_in_page(form, error=error.message), error.status)
        response = redirect(page_path(form.get("next", "")), 303)
        _set_cookie(backend, response, token, principal)
        return response

    @blueprint.post("/sign-out")
    async def sign_out() -> WerkzeugResponse:
        check_own_origin(backend, request, needed=True)
        response = redirect("/sign-in", 303)
        _clear_cookie(backend, response)
        return response

    return blueprint


async def _sign_in_page(told: Mapping[str, str], *, code: str = "", error: str = "") -> str:
    """The page to sign in at; ``told`` says under ``next`` where that leads."""
    return await render_template("sign_in.html", code=code, error=error, next=page_path(told.get("next", "")))


async def _spend(backend: Backend, code: str) -> str | None:
    """A token for the one-time ``code``; None where there is no code.

    Raises:
        RefusedError: 401, the code is spent, expired or none of ours.

    """
    if not code:
        return None
    user = await backend.accounts.spend_code(hash_code(code))
    if user is None:
        raise RefusedError(401, "NOT_AUTHENTICATED", "This sign-in link is used up or too old; ask for another.")
    return backend.tokens.issue(user, backend.settings.session_ttl_s)


async def _read_token(backend: Backend, token: str) -> Principal:
    """Who the token says, where it fits into a cookie.

    Raises:
        RefusedError: 401, it says nobody; 400, browsers would drop its cookie without a word.

    """
    try:
        principal = await backend.tokens.read(token)
    except InvalidTokenError as error:
        raise RefusedError(401, "NOT_AUTHENTICATED", str(error)) from None
    if len(token) > MAX_COOKIE_BYTES:
        message = f"The token has {len(token)} bytes; a cookie holds up to {MAX_COOKIE_BYTES}."
        raise RefusedError(400, "BAD_REQUEST", message)
    return principal


def _set_cookie(backend: Backend, response: Response | WerkzeugResponse, token: str, principal: Principal) -> None:
    """Sign the browser in for as long as the token holds and browsers keep cookies, in place of whoever was."""
    left_s = min(max(0, principal.expires_at - int(time.time())), MAX_COOKIE_S)
    response.set_cookie(COOKIE, token, max_age=left_s, **_attributes(backend))


def _clear_cookie(backend: Backend, response: Response | WerkzeugResponse) -> None:
    response.delete_cookie(COOKIE, **_attributes(backend))


def _attributes(backend: Backend) -> _Attributes:
    """Not for scripts, not with what other sites' pages ask for, and only over https where that is how one comes."""
    secure = backend.origins.secure or request.scheme == "https"
    return {"path": "/", "httponly": True, "samesite": "Lax", "secure": secure}
