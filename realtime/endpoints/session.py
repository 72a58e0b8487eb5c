"""Signing in and out: a token becomes a cookie that scripts cannot read; a one-time link becomes a token."""

from __future__ import annotations

import time

import msgspec
from quart import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from realtime.endpoints.answers import answer, read_body
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import check_origin
from realtime.ports import RefusedError
from realtime.tokens import COOKIE, InvalidTokenError, Principal, hash_code


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    token: str


def session_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/session`` for programs, ``/sign-in`` and ``/sign-out`` for people."""
    blueprint = Blueprint("session", __name__)

    @blueprint.post("/api/v1/session")
    async def open_session() -> Response:
        check_origin(request, needed=False)
        token = (await read_body(_Token)).token
        principal = await _read_token(backend, token)
        response = answer({"tenant": principal.tenant, "email": principal.email, "expires_at": principal.expires_at})
        _set_cookie(response, token, principal)
        return response

    @blueprint.delete("/api/v1/session")
    async def close_session() -> Response:
        check_origin(request, needed=COOKIE in request.cookies)
        response = Response(status=204)
        response.delete_cookie(COOKIE)
        return response

    @blueprint.get("/sign-in")
    async def show_sign_in() -> str:
        return await render_template("sign_in.html", code=request.args.get("code", ""), error="")

    @blueprint.post("/sign-in")
    async def sign_in() -> Response | WerkzeugResponse:
        check_origin(request, needed=True)
        form = await request.form
        try:
            token = await _spend(backend, form.get("code", "")) or form.get("token", "").strip()
            principal = await _read_token(backend, token)
        except RefusedError as error:
            page = await render_template("sign_in.html", code="", error=error.message)
            return Response(page, error.status)
        response = redirect("/", 303)
        _set_cookie(response, token, principal)
        return response

    @blueprint.post("/sign-out")
    async def sign_out() -> WerkzeugResponse:
        check_origin(request, needed=True)
        response = redirect("/sign-in", 303)
        response.delete_cookie(COOKIE)
        return response

    return blueprint


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
    try:
        return await backend.tokens.read(token)
    except InvalidTokenError as error:
        raise RefusedError(401, "NOT_AUTHENTICATED", str(error)) from None


def _set_cookie(response: Response | WerkzeugResponse, token: str, principal: Principal) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=max(0, principal.expires_at - int(time.time())),
        httponly=True,
        samesite="Lax",
        secure=request.scheme == "https",
        path="/",
    )
