"""Whose tokens are believed: our own, those of the shared secret and of other issuers' keys; and what is refused."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from issuer import (
    EMAIL,
    SHARED_SECRET,
    TENANT,
    Directory,
    claims,
    forged,
    private_key,
    private_pem,
    public_pem,
    shared,
    signed,
)
from properties import PROPERTY

from realtime import tokens as tokens_module
from realtime.keys import FixedKeys, PublicKey
from realtime.ports import User
from realtime.settings import Settings, SettingsError
from realtime.tokens import ISSUER, MAX_TOKEN_BYTES, InvalidTokenError, Tokens, Trust, make_tokens

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


async def test_own_token_says_its_user_until_it_expires() -> None:
    """What was issued is read back, whatever is expected of other issuers."""
    tokens = trusting(issuer="https://elsewhere.example", audience="somebody")
    principal = await tokens.read(tokens.issue(USER, 600))
    assert (principal.tenant, principal.user_id, principal.email) == (TENANT, "user-1", EMAIL)
    assert 590 < principal.expires_at - time.time() <= 600


async def test_own_token_is_read_without_any_trust() -> None:
    """A server that trusts nobody else still knows its own tokens, and refuses a stranger's with the same secret."""
    tokens = Tokens(SHARED_SECRET.encode())
    assert (await tokens.read(tokens.issue(USER, 60))).user_id == "user-1"
    await refused(tokens, shared())
    await refused(tokens, signed("RS256"))


async def test_own_token_that_was_read_before_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """That its signature is known to be good says nothing of its time, nor of a token that differs in a letter."""
    monkeypatch.setattr(tokens_module, "VERIFIED_TOKENS", 2)
    tokens = trusting()
    token, *others = [tokens.issue(User(tenant=TENANT, id=f"user-{n}", email=EMAIL), 600) for n in range(4)]
    for read in (token, token, *others, token):
        assert (await tokens.read(read)).tenant == TENANT
    assert len(tokens._verified) == 2
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert "not valid" in await refused(tokens, flipped)
    late = time.time() + 700
    monkeypatch.setattr(tokens_module.time, "time", lambda: late)
    assert "expired" in await refused(tokens, token)


async def test_own_token_expires_without_leeway() -> None:
    """The leeway is for other clocks than ours."""
    assert "expired" in await refused(trusting(leeway_s=3600.0), trusting().issue(USER, -1))


@pytest.mark.parametrize("lacking", ["sub", "tenant", "email"])
async def test_own_token_that_lacks_a_name_is_refused(lacking: str) -> None:
    """A token that says it is ours must say everything that ours say."""
    await refused(trusting(), shared(claims(iss=ISSUER, **{lacking: ...})))


@pytest.mark.parametrize("algorithm", ["HS256", *ASYMMETRIC])
async def test_token_of_another_issuer_means_the_user_of_that_address(algorithm: str) -> None:
    """Signed with the shared secret or a trusted key: tenant and email find the user, ``sub`` is not ours to read."""
    accounts = Directory()
    said = claims(sub="somebody else's id", email="Owner@localhost")
    token = shared(said) if algorithm == "HS256" else signed(algorithm, said)
    principal = await trusting(accounts=accounts).read(token)
    assert (principal.tenant, principal.user_id, principal.email) == (TENANT, "user-1", EMAIL)
    assert accounts.asked == [(TENANT, "Owner@localhost")]


@pytest.mark.parametrize("email", ["\u212aing@localhost", "owner@lo\u0441alhost", "\u0130@localhost"])
async def test_email_beyond_ascii_of_a_foreign_token_names_nobody(email: str) -> None:
    """The Kelvin sign is ``k`` in lower case: whoever may call himself so must not become the one who is."""
    accounts = Directory()
    assert "beyond ASCII" in await refused(trusting(accounts=accounts), shared(claims(email=email)))
    assert accounts.asked == []


@pytest.mark.parametrize("changes", [{"email": "stranger@localhost"}, {"tenant": "elsewhere"}])
async def test_token_that_names_nobody_known_is_refused(changes: dict[str, str]) -> None:
    """Users are added here, not by whoever signs tokens."""
    assert "nobody" in await refused(trusting(), signed("ES256", claims(**changes)))


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


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"null", b"{", b"\xff", b"{}{}", b"[" * 5000, b'{"more":' + b"[" * 5000]
)
async def test_claims_that_are_no_object_are_refused(said: bytes) -> None:
    """Signed well, and still nothing."""
    await refused(trusting(), forged(HS256, said, SHARED_SECRET.encode()))


@PROPERTY
@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_=-]{0,80}(\.[A-Za-z0-9_=-]{0,80}){0,4}", fullmatch=True))
async def test_any_text_is_refused_as_a_token(token: str) -> None:
    """No text that was not signed is anything but an invalid token."""
    await refused(trusting(), token)


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


def test_secret_that_is_short_or_no_secret_is_refused() -> None:
    """31 bytes are too few; a key in a file format may be known to others."""
    with pytest.raises(ValueError, match="31 bytes; expected at least 32"):
        Tokens(b"x" * 31)
    for key in (public_pem("RS256"), private_pem("ES256")):
        with pytest.raises(ValueError, match="expected random text"):
            Tokens(key)


def make(home: str = "first", **settings: Any) -> Tokens:
    """Tokens of a server of that home, with these settings."""
    accounts: Any = Directory()
    return make_tokens(Settings(**settings), f"the own secret of the {home} home".encode(), accounts)


async def test_secret_in_the_settings_replaces_the_own_one() -> None:
    """Both servers of one secret read each other's tokens, and the home's own secret is out of use."""
    first, second = (make(home, secret=SHARED_SECRET) for home in ("first", "second"))
    assert (await second.read(first.issue(USER, 60))).user_id == "user-1"
    await refused(first, make("first").issue(USER, 60))
    assert (await first.read(shared())).user_id == "user-1"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"secret": "x" * 31}, "secret has 31 bytes; expected at least 32"),
        ({"secret": public_pem("EdDSA").decode()}, "expected random text"),
        ({"token_issuer": ISSUER}, "token_issuer is 'runcast'"),
        ({"token_jwks_url": "http://issuer.example/keys"}, "token_jwks_url cannot be used: expected a URL of https"),
        ({"token_jwks_url": "https://issuer.example/keys", "token_key_file": "keys.pem"}, "expected one of them"),
        ({"token_leeway_s": -1.0}, "token_leeway_s is -1.0; expected 0 or more"),
    ],
)
def test_setting_that_cannot_work_is_told_at_start(settings: dict[str, Any], text: str) -> None:
    """Each names the setting, and holds nothing of a secret."""
    with pytest.raises(SettingsError) as refusal:
        make(**settings)
    assert text in str(refusal.value)
    assert settings.get("secret", "nothing") not in str(refusal.value)
