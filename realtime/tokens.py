"""Who somebody is: token → Principal; and one-time codes for signing in.

A token is ours where this server's secret signed it and it says so (``iss``): its ``sub`` is the user's id. Anybody
else's names a tenant and an email, and means the user of that tenant who has it. Such a token is signed with the
shared secret, or with a key of another issuer. https://www.rfc-editor.org/rfc/rfc8725
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
import msgspec

from realtime.jwks import PublishedKeys
from realtime.keys import ALGORITHMS, FixedKeys, Keys, KeysError, read_key_file
from realtime.ports import Accounts, User
from realtime.settings import Settings, SettingsError

ISSUER = "runcast"
COOKIE = "access_token"
MAX_TOKEN_BYTES = 8192
VERIFIED_TOKENS = 4096
"""So many of our own tokens are known to be signed; the oldest are forgotten and verified again."""
_SHARED = "HS256"
_TYPES = {None, "jwt", "at+jwt"}
"""What ``typ`` may be: a token made for something else, such as a logout, says who somebody is to nobody."""

_jws = jwt.PyJWS(
    algorithms=[_SHARED, *ALGORITHMS], options={"verify_signature": True, "enforce_minimum_key_length": True}
)


class InvalidTokenError(Exception):
    """A token does not say who somebody is; the text says why and holds nothing of the token."""

    def __init__(self, reason: str = "The token is not valid here.") -> None:
        super().__init__(reason)


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and until when that holds (seconds since the epoch)."""

    tenant: str
    user_id: str
    email: str
    expires_at: int


Moment = Annotated[float, msgspec.Meta(gt=0, le=253_402_300_799)]
"""Seconds since the epoch, up to the end of the year 9999: milliseconds, which some issuers send, are none."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=320, pattern=r"^[^\x00-\x20\x7f]+\Z")]


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: Any = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    """What a token says, each claim of its type. https://www.rfc-editor.org/rfc/rfc7519#section-4.1"""

    exp: Moment
    nbf: Moment | None = None
    iat: Moment | None = None
    iss: str | None = None
    sub: str | None = None
    aud: str | list[str] | None = None
    tenant: Name | None = None
    email: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What is believed of tokens that are not our own, and who their users are."""

    accounts: Accounts
    keys: Keys
    issuer: str | None = None
    audience: str | None = None
    leeway_s: float = 0.0


class Tokens:
    """Makes our own tokens, signed with one secret (HS256), of at least 32 bytes; reads these and those of ``trust``.

    Raises:
        ValueError: the secret is too short, or no secret but a key that others may know.

    """

    def __init__(self, secret: bytes, trust: Trust | None = None) -> None:
        if len(secret) < 32:
            raise ValueError(f"the signing secret has {len(secret)} bytes; expected at least 32")
        try:
            self._secret: bytes = _jws.get_algorithm_by_name(_SHARED).prepare_key(secret)
        except jwt.InvalidKeyError:
            raise ValueError("the signing secret is a key in a file format; expected random text") from None
        self._trust = trust
        self._verified: OrderedDict[str, _Claims] = OrderedDict()

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
        return jwt.encode(claims, self._secret, algorithm=_SHARED)

    async def read(self, token: str) -> Principal:
        """Who the token says.

        Raises:
            InvalidTokenError: it is expired, not signed by anybody who is trusted, or lacks a claim.
            RefusedError: 503, whether it is valid cannot be known now.

        """
        verified = self._verified.get(token)
        if verified is not None:
            return _own(verified)
        header = _read_header(token)
        keys = await self._keys_for(header)
        claims = _read_claims(token, header.alg, keys)
        if claims.iss != ISSUER:
            return await _admit(claims, self._trust)
        if header.alg != _SHARED:
            raise InvalidTokenError
        self._remember(token, claims)
        return _own(claims)

    def _remember(self, token: str, claims: _Claims) -> None:
        """Verify a token of ours once: its secret stays the same, and who comes back brings the same token."""
        self._verified[token] = claims
        if len(self._verified) > VERIFIED_TOKENS:
            self._verified.popitem(last=False)

    async def _keys_for(self, header: _Header) -> list[Any]:
        """The keys that may have signed it. Its ``alg`` only chooses between those bound to that algorithm."""
        if header.alg == _SHARED:
            return [self._secret]
        if header.alg not in ALGORITHMS or self._trust is None:
            raise InvalidTokenError
        return [found.key for found in await self._trust.keys.find(header.alg, header.kid)]


def make_tokens(settings: Settings, secret: bytes, accounts: Accounts) -> Tokens:
    """The tokens of a server whose own secret is ``secret``, unless its settings have another.

    Raises:
        SettingsError: the secret, the key file or the URL of keys cannot be used.

    """
    if settings.token_issuer == ISSUER:
        raise SettingsError(
            f"token_issuer is {ISSUER!r}, which is this server's own; expected that of another issuer"
        )
    trust = Trust(
        accounts=accounts,
        keys=_keys(settings),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        leeway_s=settings.token_leeway_s,
    )
    try:
        return Tokens(secret if settings.secret is None else settings.secret.encode(), trust)
    except ValueError as error:
        raise SettingsError(f"secret cannot be used: {error}") from None


def _keys(settings: Settings) -> Keys:
    try:
        if settings.token_key_file is not None:
            return read_key_file(settings.token_key_file)
        if settings.token_jwks_url is not None:
            return PublishedKeys(settings.token_jwks_url)
    except KeysError as error:
        name = "token_jwks_url" if settings.token_key_file is None else "token_key_file"
        raise SettingsError(f"{name} cannot be used: {error}") from None
    return FixedKeys(())


def _read_header(token: str) -> _Header:
    """What an unverified token says of itself: good for choosing a key, and nothing else."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise InvalidTokenError
    try:
        header = msgspec.convert(jwt.get_unverified_header(token), _Header)
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise InvalidTokenError from None
    kind = None if header.typ is None else header.typ.lower().removeprefix("application/")
    if header.crit is not msgspec.UNSET or kind not in _TYPES:
        raise InvalidTokenError
    return header


def _read_claims(token: str, algorithm: str, keys: list[Any]) -> _Claims:
    """What a token says that one of ``keys`` signed."""
    for key in keys:
        try:
            verified = _jws.decode_complete(token, key, algorithms=[algorithm])
            return msgspec.json.decode(verified["payload"], type=_Claims)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            break
    raise InvalidTokenError


def _own(claims: _Claims) -> Principal:
    if claims.exp <= time.time():
        raise _expired()
    if claims.sub is None or claims.tenant is None or claims.email is None:
        raise InvalidTokenError
    return Principal(tenant=claims.tenant, user_id=claims.sub, email=claims.email, expires_at=int(claims.exp))


async def _admit(claims: _Claims, trust: Trust | None) -> Principal:
    """Whom a token of another issuer says, whose signature was good. It holds until its end, and the leeway after."""
    if trust is None:
        raise InvalidTokenError
    now = time.time()
    ends_at = claims.exp + trust.leeway_s
    if ends_at <= now:
        raise _expired()
    if max(claims.nbf or 0, claims.iat or 0) > now + trust.leeway_s:
        raise InvalidTokenError("The token is not valid yet.")
    if trust.issuer is not None and claims.iss != trust.issuer:
        raise InvalidTokenError("The token comes from another issuer than expected here.")
    if not _is_for(claims.aud, trust.audience):
        raise InvalidTokenError("The token is meant for another audience.")
    if claims.tenant is None or claims.email is None:
        raise InvalidTokenError("The token lacks tenant or email.")
    if not claims.email.isascii():
        # A user is found in any letters' case; beyond ASCII the small form of one letter may be another's.
        raise InvalidTokenError("The token's email has characters beyond ASCII; expected an address without.")
    user = await trust.accounts.find_user(claims.tenant, claims.email)
    if user is None:
        raise InvalidTokenError("The token names nobody who is known here.")
    return Principal(tenant=user.tenant, user_id=user.id, email=user.email, expires_at=int(ends_at))


def _is_for(audience: str | list[str] | None, expected: str | None) -> bool:
    """True where the token is meant for us; one for somebody in particular is not, where we are nobody in particular.

    https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
    """
    named = [audience] if isinstance(audience, str) else audience or []
    return expected in named if expected is not None else not named


def _expired() -> InvalidTokenError:
    return InvalidTokenError("The token has expired; sign in again.")


def new_code() -> str:
    """A one-time sign-in code that cannot be guessed (256 bits)."""
    return secrets.token_urlsafe(32)


def hash_code(code: str) -> str:
    """What is kept of a one-time code: it cannot be turned back."""
    return hashlib.sha256(code.encode()).hexdigest()
