"""Who somebody is: token → Principal; and one-time codes for signing in."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import jwt
import msgspec

from realtime.ports import Accounts, User
from realtime.settings import Settings

ISSUER = "runcast"
COOKIE = "access_token"


class InvalidTokenError(Exception):
    """A token does not say who somebody is; the text says why and holds nothing of the token."""


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

    async def read(self, token: str) -> Principal:
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


def make_tokens(settings: Settings, secret: bytes, accounts: Accounts) -> Tokens:
    """The tokens of a server whose own secret is ``secret``, unless its settings have another."""
    return Tokens(secret if settings.secret is None else settings.secret.encode())


def new_code() -> str:
    """A one-time sign-in code that cannot be guessed (256 bits)."""
    return secrets.token_urlsafe(32)


def hash_code(code: str) -> str:
    """What is kept of a one-time code: it cannot be turned back."""
    return hashlib.sha256(code.encode()).hexdigest()
