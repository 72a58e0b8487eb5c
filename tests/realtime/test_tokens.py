"""Whose tokens are believed: our own, those of the shared secret and of other issuers' keys, by which settings."""

from __future__ import annotations

import time
from typing import Any

import pytest
from issuer import (
    EMAIL,
    SHARED_SECRET,
    TENANT,
    Directory,
    claims,
    private_pem,
    public_pem,
    shared,
    signed,
)
from token_stage import ASYMMETRIC, USER, refused, trusting

from realtime import tokens as tokens_module
from realtime.ports import User
from realtime.settings import Settings, SettingsError
from realtime.tokens import ISSUER, Tokens, make_tokens


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
