"""A COMMIT that PostgreSQL goes on with after its client has lost the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from manual_clock import PATIENCE_S
from postgres_server import OwnPostgresServer, own_server
from run_stage import RecordingPublisher
from store_material import Project, artifact, complete, open_project, running

from orchestrator.errors import IllegalTransitionError, StoreError
from orchestrator.recorder import Recorder
from orchestrator.store import PoolSettings, open_postgres_store
from orchestrator.store.in_flight import in_thread
from orchestrator.store.postgres_migrations import migrate_database

IMPATIENT = PoolSettings(lock_timeout_s=0.1)


def set_standby(server: OwnPostgresServer, name: str) -> None:
    """Let every COMMIT wait for the standby of that name; with an empty one for none."""
    server.run(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    server.run("SELECT pg_reload_conf()")


async def until_committing(server: OwnPostgresServer) -> None:
    """Return when a COMMIT waits for the standby."""
    async with asyncio.timeout(PATIENCE_S):
        while not server.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
            await asyncio.sleep(0.01)


def cut(project: Project) -> None:
    """Cut every connection of the store's pool, as a network does: PostgreSQL notices when it next has to answer."""
    for holder in project.store._databases._database._backend._pool._holders:  # type: ignore[attr-defined]
        if holder._con is not None:
            holder._con.terminate()


@contextmanager
def waiting_commits(server: OwnPostgresServer) -> Iterator[None]:
    """Every COMMIT waits for a standby that is not there, until this is left."""
    set_standby(server, "nobody")
    try:
        yield
    finally:
        set_standby(server, "")


async def test_commit_under_way_when_its_connection_is_lost_is_never_made_twice() -> None:
    """Invariant 2: while a COMMIT goes on unseen nothing else is saved; once it is over its events are published."""
    with own_server() as server:
        await in_thread(migrate_database, server.url)
        async with await open_postgres_store(server.url, IMPATIENT) as store:
            project = await open_project(store)
            run = await project.accept()
            publisher = RecordingPublisher()
            recorder = Recorder(store.runs, publisher, project.tenant, await project.get(run), "mine")
            await recorder.save(running(run))
            with waiting_commits(server):
                saving = asyncio.ensure_future(recorder.save(complete(run), artifacts=[artifact(run)]))
                await until_committing(server)
                cut(project)
                for attempt in (saving, recorder.save(complete(run), artifacts=[artifact(run)])):
                    with pytest.raises(StoreError, match="lock"):
                        await attempt
            with pytest.raises(IllegalTransitionError, match="completed"):
                await recorder.save(complete(run), artifacts=[artifact(run)])
            assert [(event.id, event.type) for event in publisher.events] == [(4, "running"), (5, "complete")]
            assert len(await store.runs.read_events(project.tenant, run.id, 3)) == 2
            assert len(await store.runs.list_artifacts(project.tenant, project.id, run.id)) == 1
