"""Key files: which public keys are taken for which algorithm, and what is refused at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from issuer import Directory, claims, jwk, private_key, private_pem, public_pem, signed

from realtime.keys import MAX_BYTES, MAX_KEYS, KeysError, parse_jwk_set, read_key_file
from realtime.settings import Settings, SettingsError
from realtime.tokens import InvalidTokenError, Tokens, make_tokens

NAMES = ("RS256", "ES256", "EdDSA")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys"


def tokens_of(file: Path, content: bytes | None = None) -> Tokens:
    """Tokens of a server with that key file, which has this content."""
    if content is not None:
        file.write_bytes(content)
    accounts: Any = Directory()
    return make_tokens(Settings(token_key_file=file), b"the own secret of a home, long enough", accounts)


def pkcs1(name: str) -> bytes:
    """An RSA public key in its older form."""
    return bytes(private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1))


ALL_PEM = b"".join(map(public_pem, NAMES))


@pytest.mark.parametrize(
    "content",
    [
        ALL_PEM,
        b"Keys of the issuer:\n" + ALL_PEM.replace(b"\n", b"\r\n"),
        public_pem("ES256") + pkcs1("RS256") + public_pem("EdDSA"),
        json.dumps({"keys": [jwk(name, kid=name, use="sig") for name in NAMES]}).encode(),
        json.dumps({"keys": [jwk(name, alg=name, key_ops=["verify"], x5t="ignored") for name in NAMES]}).encode(),
        json.dumps({"keys": [jwk("RS256 other", use="enc"), *map(jwk, NAMES)]}, indent=2).encode(),
    ],
    ids=["PEM", "PEM with text", "PKCS 1", "JWK set with ids", "JWK set", "JWK set with another use"],
)
async def test_key_file_in_any_form_verifies_each_algorithm(file: Path, content: bytes) -> None:
    """Several keys in one file, each for the algorithm of its type; another key's tokens stay refused."""
    tokens = tokens_of(file, content)
    for name in NAMES:
        assert (await tokens.read(signed(name))).user_id == "user-1"
        assert (await tokens.read(signed(name, kid=name))).user_id == "user-1"
        with pytest.raises(InvalidTokenError):
            await tokens.read(signed(f"{name} stranger", kid=name))


async def test_key_file_with_one_jwk_is_a_set_of_one(file: Path) -> None:
    """A JWK alone is enough; its id, where both have one, must be the token's."""
    tokens = tokens_of(file, json.dumps(jwk("ES256", kid="k1")).encode())
    assert (await tokens.read(signed("ES256", kid="k1"))).user_id == "user-1"
    assert (await tokens.read(signed("ES256"))).user_id == "user-1"
    with pytest.raises(InvalidTokenError):
        await tokens.read(signed("ES256", kid="k2"))


async def test_keys_of_one_algorithm_are_tried_in_turn(file: Path) -> None:
    """Rotation by file: old and new key side by side, none with an id."""
    tokens = tokens_of(file, public_pem("RS256 old") + public_pem("RS256 new"))
    for name in ("RS256 old", "RS256 new"):
        assert (await tokens.read(signed(name, claims(), kid="any"))).user_id == "user-1"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "found 0 public keys"),
        (b"no key at all", "found 0 public keys"),
        (b'{"keys": []}', "found 0 public keys"),
        (b"{", "something else than a JWK"),
        (b'{"keys": {}}', "something else than a JWK"),
        (b'{"keys": ["k"]}', "something else than a JWK"),
        (b'{"kty": 5}', "found a JWK that cannot be read"),
        (b'{"kty": "EC", "crv": "P-256", "x": "AA", "y": 5}', "found a JWK that cannot be read"),
        (b'{"kty": "RSA", "n": "AQAB", "e": "AQAB"}', "found a JWK that cannot be read"),
        (b'{"kty": "none"}', "found a JWK that cannot be read"),
        (b'{"a":' * 5000, "something else than a JWK"),
        (b" " * (MAX_BYTES + 1) + b"{}", "found 0 public keys"),
        (b'{"keys": [' + b'{"kty": "RSA"},' * 20_000 + b"]}", f"more than {MAX_BYTES} bytes"),
        (json.dumps({"keys": [jwk("ES256")] * (MAX_KEYS + 1)}).encode(), "found 65 keys; expected at most 64"),
        (public_pem("EdDSA") * (MAX_KEYS + 1), "found 65 public keys for signatures; expected 1 to 64"),
        (private_pem("RS256"), "found a private key"),
        (public_pem("RS256") + private_pem("ES256"), "found a private key"),
        (json.dumps(jwk("ES256", d="AAAA")).encode(), "found a private key"),
        (b'{"kty": "oct", "k": "c2VjcmV0"}', "found a private key or a secret"),
        (public_pem("weak"), "RSA key of 1024 bits; expected at least 2048"),
        (json.dumps(jwk("weak")).encode(), "RSA key of 1024 bits; expected at least 2048"),
        (public_pem("P-384"), "expected RSA, P-256 or Ed25519"),
        (json.dumps(jwk("P-384")).encode(), "expected RSA, P-256 or Ed25519"),
        (public_pem("Ed448"), "expected RSA, P-256 or Ed25519"),
        (json.dumps(jwk("RS256", alg="ES256")).encode(), "found a JWK that cannot be read"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PUBLIC KEY that cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE that cannot be read"),
    ],
)  # fmt: skip
def test_key_file_that_cannot_be_trusted_is_told_at_start(file: Path, content: bytes, text: str) -> None:
    """Private, weak, of another kind, unreadable or none: the error names setting, file and reason, and no key."""
    with pytest.raises(SettingsError) as refusal:
        tokens_of(file, content)
    assert f"token_key_file cannot be used: {file}: " in str(refusal.value)
    assert text in str(refusal.value)
    assert not any(line in str(refusal.value).encode() for line in content.split() if len(line) > 40)


def test_key_file_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    """Missing, or a directory."""
    with pytest.raises(SettingsError, match=r"token_key_file cannot be used: .*: No such file"):
        tokens_of(tmp_path / "none")
    with pytest.raises(KeysError, match="Is a directory"):
        read_key_file(tmp_path)


def test_published_key_that_cannot_be_used_is_passed_over() -> None:
    """Of a published set, what is private, weak, of another kind or use is not ours to refuse, and never used."""
    strange: list[dict[str, Any]] = [
        jwk("P-384"), jwk("weak"), jwk("ES256", d="AAAA"), jwk("RS256", use="enc"), jwk("RS256", key_ops=["encrypt"]),
        jwk("RS256", alg="PS256"), jwk("RS256", alg="RS512"), jwk("EdDSA", crv="X25519"), {"kty": "oct", "k": "AAAA"},
        {"kty": "oct", "k": "AAAA", "alg": "HS256"}, {"kty": []}, {}, {"kty": "RSA", "n": 5}, jwk("ES256", kid=7),
        jwk("ES256", alg="none"), jwk("EdDSA", crv=None), jwk("ES256", x=None),
    ]  # fmt: skip
    found = parse_jwk_set(json.dumps({"keys": [*strange, jwk("ES256", kid="good")]}).encode())
    assert [(key.algorithm, key.kid) for key in found] == [("ES256", "good")]
    assert parse_jwk_set(json.dumps({"keys": strange}).encode()) == []
