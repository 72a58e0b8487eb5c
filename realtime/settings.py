"""Every setting of a server, from flags, else the environment, else a default. Units stand in the names."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from realtime.log import FORMATS, LEVELS, MASK
from realtime.origins import parse_origin, parse_public_url
from realtime.proxies import parse_network


class SettingsError(ValueError):
    """A setting cannot be used; the text names it."""


_SECRET = {"database_url", "secret", "llm_api_key"}
_ABOVE_ZERO = (
    "heartbeat_s",
    "idle_timeout_s",
    "stuck_timeout_s",
    "identify_timeout_s",
    "reconcile_s",
    "access_check_s",
    "retention_days",
    "session_ttl_s",
    "link_ttl_s",
    "database_pool_size",
    "database_timeout_s",
    "max_runs_at_once",
    "llm_timeout_s",
    "llm_max_output_tokens",
    "llm_context_tokens",
    "lease_s",
)
_NOT_BELOW_ZERO = (
    "pace_s",
    "token_leeway_s",
    "tenant_connections",
    "user_connections",
    "tenant_subscriptions",
    "user_subscriptions",
    "tenant_runs",
    "user_runs",
    "tenant_requests_per_s",
    "user_requests_per_s",
    "tenant_frames_per_s",
    "user_frames_per_s",
    "address_failures_per_s",
    "tenant_uploads",
    "user_uploads",
    "tenant_document_bytes",
    "user_document_bytes",
    "cache_days",
    "cache_bytes",
    "monthly_tokens",
    "llm_price_per_mtok",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field can be set as ``RUNCAST_`` + its name in capitals, a list with commas between."""

    host: str = "127.0.0.1"
    port: int = 8000
    home: Path = Path(".runcast")
    database_url: str | None = None
    """``postgresql://…``; none: SQLite files in the home."""
    database_pool_size: int = 10
    """Connections to PostgreSQL that may be open at a time."""
    database_timeout_s: float = 10.0
    """How long one statement, or waiting for a free connection, may take on PostgreSQL."""
    tls_cert: Path | None = None
    """PEM file with the server's certificate and those between it and its authority: https; none: http."""
    tls_key: Path | None = None
    """PEM file with its private key, not encrypted."""
    public_url: str | None = None
    """Where browsers reach this server, when that is behind a proxy: its own origin, and https for cookies."""
    allowed_origins: tuple[str, ...] = ()
    """Other origins whose pages may use this server over WebSocket, SSE and REST, as ``https://app.example.org``."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose ``X-Forwarded-…`` headers are believed."""
    secret: str | None = None
    """Signs and checks HS256 tokens, at least 32 bytes; none: the home's own."""
    token_key_file: Path | None = None
    """Public keys (PEM, or a JWK set) of somebody else who issues RS256, ES256 or EdDSA tokens."""
    token_jwks_url: str | None = None
    """Where such keys are published instead."""
    token_issuer: str | None = None
    """What ``iss`` of other issuers' tokens must be."""
    token_audience: str | None = None
    """What ``aud`` of other issuers' tokens must be."""
    token_leeway_s: float = 30.0
    """How far the clocks of other issuers may be off."""
    access_check_s: float = 2.0
    """How often the roles of everybody who watches live are looked up again."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    """Where ``/metrics`` is served, apart from everything else; none: nowhere."""
    log_format: str = "text"
    heartbeat_s: float = 15.0
    """Silence on a stream after which a heartbeat is sent."""
    idle_timeout_s: float = 45.0
    """A WebSocket peer that lets no byte be heard for so long is gone."""
    stuck_timeout_s: float = 30.0
    """A viewer that takes nothing for so long is disconnected."""
    identify_timeout_s: float = 10.0
    reconcile_s: float = 1.0
    """How often the heads of watched runs and projects are compared with the store."""
    retry_delays_s: tuple[float, ...] = (5.0, 10.0, 20.0)
    """Waits before a failed step is tried again."""
    max_runs_at_once: int = 4
    """Further runs wait as queued."""
    lease_s: float = 10.0
    """A run whose worker has not been heard of for so long is taken over."""
    tenant_connections: int = 20_000
    """Quotas, of a tenant and of one user: WebSockets and SSE streams that are open; 0 here and below: no limit."""
    user_connections: int = 10_000
    tenant_subscriptions: int = 40_000
    """Runs watched live, over all connections."""
    user_subscriptions: int = 20_000
    tenant_runs: int = 1000
    """Runs that have not ended."""
    user_runs: int = 500
    tenant_requests_per_s: float = 2000.0
    """HTTP requests, the opening of an SSE stream among them; a burst of two seconds' worth is fine."""
    user_requests_per_s: float = 1000.0
    tenant_frames_per_s: float = 10_000.0
    """WebSocket frames, acks not counted."""
    user_frames_per_s: float = 5000.0
    address_failures_per_s: float = 50.0
    """Requests and connections of one client address that bring no valid token; 0: no limit."""
    tenant_uploads: int = 16
    """Requests with documents that are read at once; each may be 32 MiB."""
    user_uploads: int = 4
    tenant_document_bytes: int = 10_000_000_000
    """All versions of all documents that are kept."""
    user_document_bytes: int = 2_000_000_000
    monthly_tokens: int | None = None
    """What a tenant may spend on language models per calendar month (UTC), counted in the store; none: no limit."""
    cache_days: float = 7.0
    """How long what agents made of answers of the model at ``llm_base_url`` is given again; 0: not at all."""
    cache_bytes: int = 100_000_000
    """Of what is kept for that, per tenant; the oldest goes first."""
    retention_days: float = 30.0
    """Logs of runs that ended longer ago are deleted, whole; runs, steps and artifacts stay."""
    pace_s: float = 0.0
    """Offline model only: spread the work of one agent over so many seconds, for people to watch."""
    llm_base_url: str | None = None
    """Where a language model is served in OpenAI's protocol, as ``http://127.0.0.1:11434/v1``; none: offline."""
    llm_model: str | None = None
    """Its name there."""
    llm_api_key: str | None = None
    """What identifies this server to it; sent there and nowhere else, and told to nobody."""
    llm_timeout_s: float = 60.0
    """How long it may be silent, before its answer begins and within."""
    llm_max_output_tokens: int = 16_000
    """How long an answer may become, thoughts included."""
    llm_context_tokens: int = 100_000
    """How much of documents and earlier artifacts an agent reads; the artifact names what did not fit."""
    llm_price_per_mtok: float | None = None
    """What a million tokens cost, for the page to say what a run does; none: it says nothing."""
    llm_currency: str = "USD"
    """What that price is in."""
    session_ttl_s: int = 30 * 24 * 3600
    link_ttl_s: int = 600
    log_level: str = "info"

    def __post_init__(self) -> None:
        for name in _ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in _NOT_BELOW_ZERO:
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name, choices in {"log_level": LEVELS, "log_format": FORMATS}.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}")
        for name in ("port", "metrics_port"):
            if not 0 <= (getattr(self, name) or 0) <= 65535:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected 0 to 65535")
        self._check_delivery()
        self._check_identity()
        self._check_model()

    def __repr__(self) -> str:
        """What is set otherwise than by default, without what is secret."""
        told = []
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                told.append(f"{field.name}={MASK if field.name in _SECRET else repr(value)}")
        return f"Settings({', '.join(told)})"

    def _check_delivery(self) -> None:
        if self.idle_timeout_s < 2 * self.heartbeat_s:
            raise SettingsError(
                f"idle_timeout_s is {self.idle_timeout_s:g}; expected at least twice heartbeat_s "
                f"({self.heartbeat_s:g}): a silent peer is asked for a sign of life once per heartbeat"
            )
        if not all(0 <= delay < math.inf for delay in self.retry_delays_s):
            raise SettingsError(f"retry_delays_s is {self.retry_delays_s}; expected numbers of 0 or more")

    def _check_identity(self) -> None:
        _check("public_url", parse_public_url, () if self.public_url is None else (self.public_url,))
        _check("allowed_origins", parse_origin, self.allowed_origins)
        _check("trusted_proxies", parse_network, self.trusted_proxies)
        if self.secret is not None and len(self.secret.encode()) < 32:
            raise SettingsError(f"secret has {len(self.secret.encode())} bytes; expected at least 32")
        if self.token_key_file is not None and self.token_jwks_url is not None:
            raise SettingsError("token_key_file and token_jwks_url are both set; expected one of them")
        if (self.tls_cert is None) != (self.tls_key is None):
            alone, missing = ("tls_key", "tls_cert") if self.tls_cert is None else ("tls_cert", "tls_key")
            raise SettingsError(f"{alone} is set and {missing} is not; expected both, for https, or neither")

    def _check_model(self) -> None:
        if self.llm_base_url is not None:
            _check("llm_base_url", _check_base_url, (self.llm_base_url,))
            if self.llm_model is None:
                raise SettingsError("llm_base_url is set and llm_model is not; expected the name of a model there")
        for name in ("llm_model", "llm_api_key"):
            if self.llm_base_url is None and getattr(self, name) is not None:
                raise SettingsError(f"{name} is set and llm_base_url is not; expected the address of the model")
        if self.llm_api_key is not None and not re.fullmatch(r"[!-~]+", self.llm_api_key):
            raise SettingsError(
                "llm_api_key has a character that no key has; expected printable ASCII without spaces, and got "
                f"{len(self.llm_api_key)} characters that are not shown here because they are secret"
            )
        if not re.fullmatch(r"\S{1,8}", self.llm_currency or ""):
            raise SettingsError(f"llm_currency is {self.llm_currency!r}; expected up to 8 characters, none a space")

    @classmethod
    def from_environment(cls, **flags: object) -> Settings:
        """Settings from ``flags`` (those that are not None), else ``RUNCAST_…`` variables, else defaults.

        Raises:
            SettingsError: a value cannot be read or used.

        """
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            variable = f"RUNCAST_{field.name.upper()}"
            text = os.environ.get(variable)
            if flags.get(field.name) is not None:
                values[field.name] = flags[field.name]
            elif text is not None:
                values[field.name] = _read(variable, text, field.type)
        return cls(**values)


def _check(name: str, parse: Callable[[str], object], texts: Iterable[str]) -> None:
    for text in texts:
        try:
            parse(text)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None


def _check_base_url(text: str) -> None:
    """Let pass what can be shown to anybody, and a path be added to."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("expected http(s)://host, maybe with port and path; it is something else")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("expected no user, query or fragment in the address; the key belongs into llm_api_key")
    if parts.port == 0:
        raise ValueError("expected a port from 1 to 65535, got 0")


def _read(variable: str, text: str, kind: Any) -> Any:
    if kind in (str, str | None):
        return text or None
    if kind == Path | None:
        return Path(text) if text else None
    if kind is Path:
        return Path(text)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        if kind == tuple[float, ...]:
            return tuple(float(part) for part in text.split(",") if part.strip())
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        expected = {
            float: "a number",
            float | None: "a number",
            tuple[float, ...]: "numbers with commas between",
        }.get(kind, "a whole number")
        raise SettingsError(f"{variable} is {text!r}; expected {expected}") from None
