"""Who somebody is (token → Principal), what a role may do, and which Origins may use a cookie."""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import StrEnum
from typing import Any

import jwt
import msgspec

from realtime.ports import User

ISSUER = "runcast"
COOKIE = "access_token"


class InvalidTokenError(Exception):
    """A token does not say who somebody is; the text says why and holds nothing of the token."""


class Role(StrEnum):
    """What a user is in a project."""

    OWNER = "owner"
    ADMIN = "admin"
    PM_CSM = "pm-csm"
    QA_MANUAL = "qa-manual"
    QA_AUTOMATION = "qa-automation"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Action(StrEnum):
    """What can be done in a project."""

    READ = "read"
    """See its documents, runs and artifacts."""
    STREAM = "stream"
    """Watch its runs live."""
    START_RUN = "start_run"
    WRITE_DOCUMENTS = "write_documents"


_RUNS_AGENTS = frozenset({Role.OWNER, Role.ADMIN, Role.QA_AUTOMATION})

PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.READ: frozenset(Role),
    Action.STREAM: _RUNS_AGENTS,
    Action.START_RUN: _RUNS_AGENTS,
    Action.WRITE_DOCUMENTS: _RUNS_AGENTS | {Role.PM_CSM, Role.QA_MANUAL},
}


def may(role: str | None, action: Action) -> bool:
    """True where somebody with ``role`` (None: no member) may do ``action``."""
    return role in PERMISSIONS[action]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and until when that holds (seconds since the epoch)."""

    tenant: str
    user_id: str
    email: str
    expires_at: int


class Tokens:
    """Makes and reads JWTs signed with one secret (HS256), of at least 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError(f"the signing secret has {len(secret)} bytes; expected at least 32")
        self._secret = secret

    def issue(self, user: User, ttl_s: int) -> str:
        """A token that says ``user`` for ``ttl_s`` seconds."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user.id,
            "tenant": user.tenant,
            "email": user.email,
            "iat": now,
            "exp": now + ttl_s,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str) -> Principal:
        """Who the token says.

        Raises:
            InvalidTokenError: it is expired, not signed by this server, or lacks a claim.

        """
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=ISSUER,
                options={"require": ["exp", "sub", "tenant", "email"]},
            )
            return msgspec.convert(
                {
                    "tenant": claims["tenant"],
                    "user_id": claims["sub"],
                    "email": claims["email"],
                    "expires_at": claims["exp"],
                },
                Principal,
            )
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("The token has expired; sign in again.") from None
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError):
            raise InvalidTokenError("The token is not valid here.") from None


def origin_is_own(origin: str, scheme: str, host: str) -> bool:
    """True where ``origin`` is the one that a page served here under ``scheme`` and ``host`` has; ``null`` is not.

    https://www.rfc-editor.org/rfc/rfc6454#section-4
    """
    http_scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return origin.lower() == f"{http_scheme}://{host}".lower()


def new_code() -> str:
    """A one-time sign-in code that cannot be guessed (256 bits)."""
    return secrets.token_urlsafe(32)


def hash_code(code: str) -> str:
    """What is kept of a one-time code: it cannot be turned back."""
    return hashlib.sha256(code.encode()).hexdigest()
