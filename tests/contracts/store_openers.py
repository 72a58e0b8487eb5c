"""Every implementation of the store, by name: from a place of its own, a directory or a URL, to an open store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestrator.store import PoolSettings, Store, open_postgres_store, open_sqlite_store

PATIENT = PoolSettings(idle_timeout_s=20.0)
"""Whoever stands still amid a transaction is no frozen worker here, but a test on a busy machine."""

OPENERS: dict[str, Callable[[str], Awaitable[Store]]] = {
    "sqlite": lambda place: open_sqlite_store(Path(place)),
    "postgres": lambda place: open_postgres_store(place, PATIENT),
}
