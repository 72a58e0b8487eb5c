"""Tokens of a server that trusts the issuer, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from issuer import EMAIL, SHARED_SECRET, TENANT, Directory, private_key

from realtime.keys import FixedKeys, PublicKey
from realtime.ports import User
from realtime.tokens import InvalidTokenError, Tokens, Trust

USER = User(tenant=TENANT, id="user-1", email=EMAIL)
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
HS256 = {"alg": "HS256", "typ": "JWT"}


def trusting(**changes: Any) -> Tokens:
    """Tokens that believe the shared secret and one key of each algorithm."""
    keys = FixedKeys(PublicKey(name, None, private_key(name).public_key()) for name in ASYMMETRIC)
    trust = {"accounts": Directory(), "keys": keys, "leeway_s": 30.0, **changes}
    return Tokens(SHARED_SECRET.encode(), Trust(**trust))


async def refused(tokens: Tokens, token: str) -> str:
    """Why ``token`` is refused; the text holds nothing of it."""
    with pytest.raises(InvalidTokenError) as refusal:
        await tokens.read(token)
    assert token[:20] not in str(refusal.value) or len(token) < 20
    return str(refusal.value)
