"""Every implementation of the store, by name: from a place of its own, a directory or a URL, to an open store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestrator.store import Store, open_postgres_store, open_sqlite_store

OPENERS: dict[str, Callable[[str], Awaitable[Store]]] = {
    "sqlite": lambda place: open_sqlite_store(Path(place)),
    "postgres": open_postgres_store,
}
