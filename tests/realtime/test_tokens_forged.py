"""Tokens that nobody we trust has made: wrong keys and algorithms, strange headers, garbage."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from issuer import (
    SHARED_SECRET,
    claims,
    forged,
    private_key,
    public_pem,
    shared,
    signed,
)
from properties import PROPERTY
from token_stage import ASYMMETRIC, HS256, USER, refused, trusting

from realtime.tokens import ISSUER, MAX_TOKEN_BYTES, Tokens


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_token_with_another_key_claims_to_be_ours_is_refused(algorithm: str) -> None:
    """Only our secret makes our tokens: a trusted issuer cannot choose a user id."""
    await refused(trusting(), signed(algorithm, claims(iss=ISSUER, sub="user-1")))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_public_key_is_no_secret(algorithm: str) -> None:
    """Algorithm confusion: HS256 with a public key in any of its forms as the secret proves nothing."""
    public = private_key(algorithm).public_key()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(public)
    pem = public_pem(algorithm)
    for secret in (pem, pem.strip(), pem.replace(b"\n", b"\r\n"), jwk.encode(), b""):
        for kid in ({}, {"kid": "k1"}):
            await refused(trusting(), forged({**HS256, **kid}, claims(), secret))
            await refused(trusting(), forged({**HS256, **kid}, claims(iss=ISSUER), secret))


@pytest.mark.parametrize("said", ["RS256", "ES256", "EdDSA", "HS256"])
@pytest.mark.parametrize("used", ["RS256", "ES256", "EdDSA", "HS256"])
async def test_key_verifies_its_own_algorithm_only(said: str, used: str) -> None:
    """A good signature under the name of another algorithm is a bad one."""
    token = shared() if used == "HS256" else signed(used)
    _, body, signature = token.split(".")
    head = forged({"alg": said, "typ": "JWT"}, b"", None).split(".", 1)[0]
    if said != used:
        await refused(trusting(), f"{head}.{body}.{signature}")


@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS384", "PS256", "ES384", "ES256K", "hs256", None, 1, []],
)  # fmt: skip
async def test_algorithm_that_is_not_listed_is_refused(algorithm: object) -> None:
    """``none`` in any spelling, what the library could do besides, and what is no name: refused, signed or not."""
    for secret in (None, SHARED_SECRET.encode()):
        await refused(trusting(), forged({"alg": algorithm, "typ": "JWT"}, claims(), secret))


async def test_token_without_algorithm_is_refused() -> None:
    """The header must say how it is signed."""
    await refused(trusting(), forged({"typ": "JWT"}, claims(), SHARED_SECRET.encode()))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None},
        {"b64": False},
        {"typ": "logout+jwt"},
        {"typ": "secevent+jwt"},
        {"typ": 5},
        {"kid": 5},
    ],
)
async def test_header_that_asks_for_more_is_refused(header: dict[str, Any]) -> None:
    """An extension we must understand and do not, another kind of token, or a field of another type."""
    await refused(trusting(), forged({**HS256, **header}, claims(), SHARED_SECRET.encode()))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_token_of_a_known_kind_is_read(kind: str) -> None:
    """Plain tokens and access tokens (RFC 9068)."""
    assert (await trusting().read(shared(typ=kind))).user_id == "user-1"


async def test_key_that_a_token_brings_along_is_not_used() -> None:
    """``jwk``, ``jku`` and ``x5u`` in a header are anybody's."""
    own = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(private_key("ES256 stranger").public_key()))
    url = "https://elsewhere.example/keys"
    await refused(trusting(), signed("ES256 stranger", jwk=own, jku=url, x5u=url, kid="k1"))


@pytest.mark.parametrize("token", [shared, lambda: signed("RS256"), lambda: signed("EdDSA")])
async def test_token_changed_in_any_part_is_refused(token: Any) -> None:
    """One character of the header, the claims or the signature."""
    good = token()
    for place in (5, len(good) // 2, len(good) - 20):
        other = "A" if good[place] != "A" else "B"
        await refused(trusting(), good[:place] + other + good[place + 1 :])


async def test_token_of_another_secret_is_refused() -> None:
    """Neither as ours nor as a backend's."""
    stranger = Tokens(b"another secret of at least 32 bytes")
    await refused(trusting(), stranger.issue(USER, 600))
    await refused(trusting(), forged(HS256, claims(), b"another secret of at least 32 bytes"))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "ü",
        "a.ü.c",
        "\ud800",
        "\x00",
        " ",
        "e30.e30.",
        "e30.e30.e30.e30",
        "W10.e30.e30",
    ],
    ids=ascii,
)
async def test_garbage_is_refused(token: str) -> None:
    """What is no token is no crash either."""
    await refused(trusting(), token)


async def test_token_that_is_too_long_is_refused_unread() -> None:
    """8 KiB are read, one byte more is not, however good; a megabyte costs nothing."""
    room = MAX_TOKEN_BYTES - len(shared(claims(exp=2_000_000_000, more="")))
    good = shared(claims(exp=2_000_000_000, more="x" * (room * 3 // 4 - 4)))
    assert (await trusting().read(good)).user_id == "user-1"
    assert MAX_TOKEN_BYTES - 10 < len(good) <= MAX_TOKEN_BYTES
    await refused(trusting(), shared(claims(more="x" * room)))
    await refused(trusting(), "a" * 1024 * 1024)
    await refused(trusting(), "." * 1024 * 1024)


@PROPERTY
@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_=-]{0,80}(\.[A-Za-z0-9_=-]{0,80}){0,4}", fullmatch=True))
async def test_any_text_is_refused_as_a_token(token: str) -> None:
    """No text that was not signed is anything but an invalid token."""
    await refused(trusting(), token)
