"""Ending while PostgreSQL is there and silent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from postgres_server import OwnPostgresServer, own_server
from store_material import open_project

from orchestrator.errors import StoreError
from orchestrator.store import open_postgres_store, share_server_lock
from orchestrator.store.in_flight import in_thread
from orchestrator.store.postgres_migrations import migrate_database

ENOUGH_S = 4.5
"""Less than any of its limits on statements and connections; more than the end may take."""


@contextmanager
def silent(server: OwnPostgresServer) -> Iterator[None]:
    """Its processes are stopped: connections stand, new ones are taken by the system, and nothing answers."""
    backends = [row["pid"] for row in server.run("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
    stopped = [int((server._data / "postmaster.pid").read_text().split()[0]), *backends]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


async def test_store_and_lock_of_a_silent_server_are_left_soon() -> None:
    """Whoever closes goes on soon, whatever the server owes; units of work that were under way fail."""
    with own_server() as server:
        await in_thread(migrate_database, server.url)
        store = await open_postgres_store(server.url)
        project = await open_project(store)
        lock = share_server_lock(server.url)
        await lock.__aenter__()
        with silent(server):
            asking = [asyncio.ensure_future(project.accept()) for _ in range(5)]
            async with asyncio.timeout(ENOUGH_S):
                await store.close()
                await lock.__aexit__(None, None, None)
            answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreError}
