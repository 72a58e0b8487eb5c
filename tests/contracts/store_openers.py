"""Every implementation of the store, by name: from a directory of its own to an open store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestrator.store import Store, open_sqlite_store

OPENERS: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "sqlite": open_sqlite_store,
}
