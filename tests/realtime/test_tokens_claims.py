"""What a token of a trusted issuer says: times, names, issuer and audience, and everything that is none."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from issuer import (
    SHARED_SECRET,
    Directory,
    claims,
    forged,
    shared,
    signed,
)
from properties import PROPERTY
from token_stage import HS256, refused, trusting

from realtime.tokens import ISSUER, InvalidTokenError


@pytest.mark.parametrize("issuer", ["https://issuer.example", ISSUER])
async def test_token_without_expiry_is_refused(issuer: str) -> None:
    """Nothing holds for ever."""
    await refused(trusting(), shared(claims(iss=issuer, exp=...)))


NO_MOMENTS = [
    "",
    "9999999999",
    "soon",
    True,
    {"a": 1},
    [],
    {},
    -1,
    0,
    1e300,
    10**30,
    10**4000,
    253_402_300_800,
    1.8e12,
]


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", NO_MOMENTS, ids=lambda value: repr(value)[:20])
async def test_time_that_is_none_is_refused(claim: str, value: object) -> None:
    """A time is a number of seconds since the epoch within the years people use; nothing is read into it."""
    for issuer in ("https://issuer.example", ISSUER):
        await refused(trusting(), forged(HS256, claims(iss=issuer, **{claim: value}), SHARED_SECRET.encode()))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "01", "1" * 5000])
async def test_expiry_that_is_no_json_number_is_refused(number: str) -> None:
    """What only some parsers take for a number."""
    said = json.dumps(claims(exp=12345)).replace("12345", number)
    await refused(trusting(), forged(HS256, said.encode(), SHARED_SECRET.encode()))


async def test_expiry_that_is_null_is_refused() -> None:
    """It is as good as missing."""
    await refused(trusting(), forged(HS256, claims(exp=None), SHARED_SECRET.encode()))


async def test_expiry_in_the_far_future_is_kept_within_bounds() -> None:
    """The last moment that is accepted can still be counted with."""
    principal = await trusting().read(shared(claims(exp=253_402_300_799)))
    assert math.isfinite(principal.expires_at - time.time())


@pytest.mark.parametrize("claim", ["iss", "sub", "tenant", "email"])
@pytest.mark.parametrize("value", [1, True, [], ["a"], {"a": 1}, 1.5], ids=repr)
async def test_name_that_is_no_text_is_refused(claim: str, value: object) -> None:
    """Each claim is of its type, in our own tokens as in others'."""
    for issuer in ("https://issuer.example", ISSUER):
        await refused(trusting(), forged(HS256, claims(**{"iss": issuer, claim: value}), SHARED_SECRET.encode()))


@pytest.mark.parametrize("claim", ["tenant", "email"])
@pytest.mark.parametrize("value", ["", " ", "a b", "a\x00", "a\n", "\u0000", "x" * 321], ids=ascii)
async def test_name_that_nobody_has_is_refused_unasked(claim: str, value: str) -> None:
    """Blank, with control characters, or too long: the store is not asked."""
    accounts = Directory()
    await refused(trusting(accounts=accounts), shared(claims(**{claim: value})))
    assert accounts.asked == []


@pytest.mark.parametrize("claim", ["tenant", "email"])
async def test_foreign_token_that_lacks_a_name_is_refused(claim: str) -> None:
    """Both tenant and email find a user; the text says what is missing."""
    assert "lacks" in await refused(trusting(), signed("RS256", claims(**{claim: ...})))


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
async def test_clock_within_the_leeway_is_forgiven(algorithm: str) -> None:
    """A token that just ended, or that begins in a moment, is good; it then holds to the end of the leeway."""
    now = time.time()
    for changes in ({"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}):
        said = claims(**changes)
        principal = await trusting().read(shared(said) if algorithm == "HS256" else signed(algorithm, said))
        assert principal.expires_at == int(said["exp"] + 30)
        assert principal.expires_at > now


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
async def test_clock_beyond_the_leeway_is_refused(algorithm: str) -> None:
    """Ended longer ago, or beginning later, than the leeway."""
    now = time.time()
    for changes, reason in (({"exp": now - 31}, "expired"), ({"nbf": now + 40}, "yet"), ({"iat": now + 40}, "yet")):
        said = claims(**changes)
        assert reason in await refused(trusting(), shared(said) if algorithm == "HS256" else signed(algorithm, said))


@pytest.mark.parametrize("issuer", ["https://other.example", "https://issuer.example/", "", ..., None])
async def test_issuer_other_than_expected_is_refused(issuer: object) -> None:
    """With one expected, equal to the letter or not at all."""
    tokens = trusting(issuer="https://issuer.example")
    await refused(tokens, forged(HS256, claims(iss=issuer), SHARED_SECRET.encode()))
    assert (await tokens.read(shared())).user_id == "user-1"


@pytest.mark.parametrize(
    "audience", ["other", "runs ", ["other"], [], "", ..., None, 5, {"runs": 1}, [5], [["runs"]]]
)
async def test_audience_without_us_is_refused(audience: object) -> None:
    """With one expected, it must be the audience or among it."""
    tokens = trusting(audience="runs")
    await refused(tokens, forged(HS256, claims(aud=audience), SHARED_SECRET.encode()))


@pytest.mark.parametrize("audience", ["runs", ["runs"], ["other", "runs"]])
async def test_audience_with_us_is_read(audience: object) -> None:
    """Alone or with others."""
    assert (await trusting(audience="runs").read(signed("EdDSA", claims(aud=audience)))).user_id == "user-1"


async def test_token_for_somebody_in_particular_is_refused_by_nobody_in_particular() -> None:
    """Without an audience of ours, a token with one is meant for another service (RFC 7519, 4.1.3)."""
    assert "audience" in await refused(trusting(), shared(claims(aud="another service")))
    assert (await trusting().read(shared(claims(aud=[])))).user_id == "user-1"


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"null", b"{", b"\xff", b"{}{}", b"[" * 5000, b'{"more":' + b"[" * 5000]
)
async def test_claims_that_are_no_object_are_refused(said: bytes) -> None:
    """Signed well, and still nothing."""
    await refused(trusting(), forged(HS256, said, SHARED_SECRET.encode()))


@PROPERTY
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["exp", "nbf", "iat", "iss", "sub", "aud", "tenant", "email"]),
)
async def test_any_claim_is_read_or_refused(value: Any, claim: str) -> None:
    """Whatever a trusted issuer says, the answer is the local user or a refusal."""
    token = forged(HS256, claims(**{claim: value}), SHARED_SECRET.encode())
    with contextlib.suppress(InvalidTokenError):
        assert (await trusting().read(token)).user_id == "user-1"
