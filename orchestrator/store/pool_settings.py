"""What can be set about connections to PostgreSQL. Knows no driver, so that whoever needs none loads none."""

from __future__ import annotations

import msgspec

APPLICATION_NAME = "runcast"


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections to PostgreSQL there are, and how long anything waits for anything, in seconds.

    ``acquire_timeout_s`` is for a connection that others have in use, ``lock_timeout_s`` for a row or table that
    other transactions hold; a statement takes no longer than ``statement_timeout_s`` with all its waiting. A
    transaction whose process is silent for ``idle_timeout_s`` is ended, so that no frozen worker holds rows for long.
    """

    min_size: int = 1
    max_size: int = 10
    acquire_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 10.0
    lock_timeout_s: float = 5.0
    idle_timeout_s: float = 1.5

    def of_server(self) -> dict[str, str]:
        """Those that PostgreSQL itself observes, as it takes them when a connection begins."""
        return {
            "application_name": APPLICATION_NAME,
            "statement_timeout": _milliseconds(self.statement_timeout_s),
            "lock_timeout": _milliseconds(self.lock_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_timeout_s),
        }


DEFAULT_POOL = PoolSettings()


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
