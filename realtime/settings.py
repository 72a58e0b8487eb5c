"""Every setting of a server, from flags, else the environment, else a default. Units stand in the names."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import msgspec

from realtime.log import LEVELS


class SettingsError(ValueError):
    """A setting cannot be used; the text names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field can be set as ``RUNCAST_`` + its name in capitals, a list with commas between."""

    host: str = "127.0.0.1"
    port: int = 8000
    home: Path = Path(".runcast")
    heartbeat_s: float = 15.0
    """Silence on a stream after which a heartbeat is sent."""
    idle_timeout_s: float = 45.0
    """A WebSocket peer that lets no byte be heard for so long is gone."""
    stuck_timeout_s: float = 30.0
    """A viewer that takes nothing for so long is disconnected."""
    identify_timeout_s: float = 10.0
    reconcile_s: float = 5.0
    """How often the heads of watched runs are compared with the store."""
    retry_delays_s: tuple[float, ...] = (5.0, 10.0, 20.0)
    """Waits before a failed step is tried again."""
    max_runs_at_once: int = 4
    """Further runs wait as queued."""
    monthly_tokens: int | None = None
    """What a tenant may spend on language models per calendar month (counted by this process); none: no limit."""
    retention_days: float = 30.0
    """Logs of runs that ended longer ago are deleted, whole; runs, steps and artifacts stay."""
    pace_s: float = 0.0
    """Offline model only: spread the work of one agent over so many seconds, for people to watch."""
    session_ttl_s: int = 30 * 24 * 3600
    link_ttl_s: int = 600
    log_level: str = "info"

    def __post_init__(self) -> None:
        timeouts = ("heartbeat_s", "idle_timeout_s", "stuck_timeout_s", "identify_timeout_s")
        for name in (*timeouts, "reconcile_s", "retention_days", "session_ttl_s", "link_ttl_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected more than 0")
        if self.idle_timeout_s < 2 * self.heartbeat_s:
            raise SettingsError(
                f"idle_timeout_s is {self.idle_timeout_s:g}; expected at least twice heartbeat_s "
                f"({self.heartbeat_s:g}): a silent peer is asked for a sign of life once per heartbeat"
            )
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; expected 0 to 65535")
        if self.max_runs_at_once < 1:
            raise SettingsError(f"max_runs_at_once is {self.max_runs_at_once}; expected at least 1")
        if self.log_level not in LEVELS:
            raise SettingsError(f"log_level is {self.log_level!r}; expected one of {', '.join(LEVELS)}")
        if self.pace_s < 0 or any(delay < 0 for delay in self.retry_delays_s):
            raise SettingsError("pace_s and retry_delays_s must not be negative")

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


def _read(variable: str, text: str, kind: Any) -> Any:
    try:
        if kind is Path:
            return Path(text)
        if kind == tuple[float, ...]:
            return tuple(float(part) for part in text.split(",") if part.strip())
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        expected = {float: "a number", tuple[float, ...]: "numbers with commas between"}.get(kind, "a whole number")
        raise SettingsError(f"{variable} is {text!r}; expected {expected}") from None
