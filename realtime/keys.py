"""Public keys of somebody else who issues tokens: what they are read from, and the one algorithm each is for.

A key is bound to its algorithm by its own type, never by what a token or a file says: RSA of at least 2048 bits to
RS256, P-256 to ES256, Ed25519 to EdDSA. Secrets and private keys are refused: this server only checks.
https://www.rfc-editor.org/rfc/rfc8725#section-3.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ALGORITHMS = ("RS256", "ES256", "EdDSA")
MAX_BYTES = 256 * 1024
MAX_KEYS = 64
"""Of one set: a token without a key id is tried with each."""
_MIN_RSA_BITS = 2048
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class KeysError(ValueError):
    """Keys cannot be used; the text says why, and holds nothing of them."""


class PublicKey(NamedTuple):
    """A key, the algorithm it is for, and its id where it has one."""

    algorithm: str
    kid: str | None
    key: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class Keys(Protocol):
    """Where the keys of another issuer are."""

    async def find(self, algorithm: str, kid: str | None) -> Sequence[PublicKey]:
        """Those that a token of that algorithm and key id (None: it names none) may be signed with.

        Raises:
            RefusedError: 503, that cannot be known now.

        """
        ...


class FixedKeys:
    """Keys that stay the same until the server ends."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)

    async def find(self, algorithm: str, kid: str | None) -> Sequence[PublicKey]:
        """Never waits."""
        return matching(self._keys, algorithm, kid)


class _Jwk(msgspec.Struct, frozen=True):
    """What a JWK says of itself. https://www.rfc-editor.org/rfc/rfc7517#section-4"""

    kty: str
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None

    @property
    def signs(self) -> bool:
        """True unless it is for something else than signatures."""
        return self.use in {None, "sig"} and (self.key_ops is None or "verify" in self.key_ops)


class _JwkSet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def matching(keys: Iterable[PublicKey], algorithm: str, kid: str | None) -> list[PublicKey]:
    """The keys of that algorithm whose id is ``kid``, or unknown on either side."""
    return [key for key in keys if key.algorithm == algorithm and (None in {kid, key.kid} or key.kid == kid)]


def read_key_file(path: Path) -> FixedKeys:
    """The keys in a file: PEM, one or more, or a JWK or JWK set.

    Raises:
        KeysError: it cannot be read, has no key for signatures, or one that is private, too weak or of another kind.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
    try:
        keys = _parse_file(content)
    except KeysError as error:
        raise KeysError(f"{path}: {error}") from None
    return FixedKeys(keys)


def parse_jwk_set(content: bytes) -> list[PublicKey]:
    """The keys of a published JWK set that can be used here; others are passed over, as the RFC asks.

    https://www.rfc-editor.org/rfc/rfc7517#section-5

    Raises:
        KeysError: it is none, or too large.

    """
    found = []
    for jwk in _decode_set(content).keys:
        try:
            key = _parse_jwk(jwk)
        except KeysError:
            continue
        if key is not None:
            found.append(key)
    return found


def _parse_file(content: bytes) -> list[PublicKey]:
    if content.lstrip().startswith(b"{"):
        keys = [key for jwk in _decode_set(content).keys if (key := _parse_jwk(jwk)) is not None]
    else:
        blocks = list(_PEM.finditer(content))[: MAX_KEYS + 1]
        keys = [_parse_pem(block[1].decode(), block[0]) for block in blocks]
    if not 0 < len(keys) <= MAX_KEYS:
        raise KeysError(
            f"found {len(keys)} public keys for signatures; expected 1 to {MAX_KEYS}, as PEM, JWK or JWK set"
        )
    return keys


def _parse_pem(label: str, block: bytes) -> PublicKey:
    if "PRIVATE" in label:
        raise _private()
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise KeysError(f"found a {label} that cannot be read; expected a PUBLIC KEY") from None
    return _bound(key, None)


def _decode_set(content: bytes) -> _JwkSet:
    """A JWK set; one JWK counts as a set."""
    if len(content) > MAX_BYTES:
        raise KeysError(f"found more than {MAX_BYTES} bytes")
    try:
        found = msgspec.json.decode(content, type=dict[str, Any])
        one_or_more = _JwkSet([found]) if "kty" in found else msgspec.convert(found, _JwkSet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysError('found something else than a JWK or a JWK set, {"keys": […]}') from None
    if len(one_or_more.keys) > MAX_KEYS:
        raise KeysError(f"found {len(one_or_more.keys)} keys; expected at most {MAX_KEYS}")
    return one_or_more


def _parse_jwk(jwk: dict[str, Any]) -> PublicKey | None:
    """The key; None: it is for something else."""
    try:
        about = msgspec.convert(jwk, _Jwk)
    except msgspec.ValidationError:
        raise _unreadable() from None
    if "d" in jwk or "k" in jwk:
        raise _private()
    if not about.signs or about.alg not in {None, *ALGORITHMS}:
        return None
    try:
        return _bound(jwt.PyJWK(jwk).key, about.kid)
    except (jwt.PyJWTError, UnsupportedAlgorithm, TypeError, AttributeError):
        raise _unreadable() from None


def _unreadable() -> KeysError:
    return KeysError("found a JWK that cannot be read")


def _private() -> KeysError:
    return KeysError(
        "found a private key or a secret; expected public keys only, this server signs nothing with them"
    )


def _bound(key: object, kid: str | None) -> PublicKey:
    """The key, bound to the one algorithm that it is for."""
    match key:
        case RSAPublicKey() if key.key_size >= _MIN_RSA_BITS:
            return PublicKey("RS256", kid, key)
        case RSAPublicKey():
            raise KeysError(f"found an RSA key of {key.key_size} bits; expected at least {_MIN_RSA_BITS}")
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return PublicKey("ES256", kid, key)
        case Ed25519PublicKey():
            return PublicKey("EdDSA", kid, key)
    raise KeysError(f"found a key of another kind ({type(key).__name__}); expected RSA, P-256 or Ed25519")
