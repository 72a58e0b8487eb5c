from __future__ import annotations

import asyncio
from uuid import uuid4

from store_material import TENANT, Project, artifact, complete, done, open_project, running

from orchestrator.store.acks import AckRecord


def ack(run_id: str, event_id: int, client_id: str = "tab", user_id: str = "u1") -> AckRecord:
    """A viewer of the run has come that far."""
    return AckRecord(run_id=run_id, user_id=user_id, client_id=client_id, event_id=event_id)


async def test_save_acks_lower_one_changes_nothing(project: Project) -> None:
    """An ack only ever rises, also within one call."""
    run = await project.accept()
    acks = project.store.acks
    assert await acks.get_ack(TENANT, run.id, "u1", "tab") is None
    await acks.save_acks(TENANT, [ack(run.id, 2), ack(run.id, 1)])
    await acks.save_acks(TENANT, [ack(run.id, 1)])
    assert await acks.get_ack(TENANT, run.id, "u1", "tab") == 2
    await acks.save_acks(TENANT, [ack(run.id, 3)])
    assert await acks.get_ack(TENANT, run.id, "u1", "tab") == 3


async def test_save_acks_are_kept_per_viewer(project: Project) -> None:
    """Run, user and client together name a viewer; in another tenant the same names are another viewer."""
    run, other = await project.accept(), await project.accept()
    await open_project(project.store, "acme")
    acks = project.store.acks
    await acks.save_acks(TENANT, [ack(run.id, 1), ack(run.id, 2, "phone"), ack(run.id, 3, user_id="u2")])
    assert await acks.get_ack(TENANT, run.id, "u1", "tab") == 1
    assert await acks.get_ack(TENANT, run.id, "u1", "phone") == 2
    assert await acks.get_ack(TENANT, run.id, "u2", "tab") == 3
    assert await acks.get_ack(TENANT, other.id, "u1", "tab") is None
    assert await acks.get_ack("acme", run.id, "u1", "tab") is None
    assert await acks.get_ack("nobody", run.id, "u1", "tab") is None


async def test_save_acks_keeps_the_16_clients_heard_from_last(project: Project) -> None:
    """The seventeenth client of a user takes the place of the one heard from longest ago; other users keep theirs."""
    run = await project.accept()
    acks = project.store.acks
    await acks.save_acks(TENANT, [ack(run.id, 1, "theirs", "u2")])
    await acks.save_acks(TENANT, [ack(run.id, 1, f"c{number}") for number in range(16)])
    await acks.save_acks(TENANT, [ack(run.id, 2, "c0"), ack(run.id, 1, "new"), ack(run.id, 1, "newer")])
    kept = {
        name for name in ["c0", "c1", "c2", "c3", "new", "newer"] if await acks.get_ack(TENANT, run.id, "u1", name)
    }
    assert kept == {"c0", "c3", "new", "newer"}
    assert await acks.get_ack(TENANT, run.id, "u2", "theirs") == 1


async def test_save_acks_of_unknown_run_or_tenant_is_ignored(project: Project) -> None:
    """An ack of what does not exist is dropped; those beside it are kept."""
    run = await project.accept()
    unknown = str(uuid4())
    await project.store.acks.save_acks(TENANT, [ack(unknown, 1), ack(run.id, 2)])
    await project.store.acks.save_acks("nobody", [ack(run.id, 3)])
    await project.store.acks.save_acks(TENANT, [])
    assert await project.store.acks.get_ack(TENANT, unknown, "u1", "tab") is None
    assert await project.store.acks.get_ack(TENANT, run.id, "u1", "tab") == 2


async def test_save_acks_from_many_tasks_keep_the_highest(project: Project) -> None:
    """Whatever the order in which acks of a viewer arrive, the highest stays."""
    run = await project.accept()
    await asyncio.gather(
        *(project.store.acks.save_acks(TENANT, [ack(run.id, number)]) for number in (3, 1, 5, 2, 4) * 4)
    )
    assert await project.store.acks.get_ack(TENANT, run.id, "u1", "tab") == 5


async def test_drop_logs_takes_events_and_acks_of_ended_runs(project: Project) -> None:
    """A log dies by age, whole, with its acks; run, steps and artifacts stay, and live runs are not touched."""
    store = project.store
    ended, live = await project.accept(), await project.accept()
    await store.runs.save(TENANT, ended.id, "mine", [complete(ended), done(ended)], [artifact(ended)])
    await project.save(live, running(live))
    await store.acks.save_acks(TENANT, [ack(ended.id, 5), ack(live.id, 4)])
    before = await project.get(ended)
    assert await store.drop_logs(TENANT, days=1) == ()
    await asyncio.sleep(0.003)  # another millisecond on the store's clock
    assert await store.old_logs(TENANT, days=0) == (ended.id,)
    assert await store.drop_logs(TENANT, days=0) == (ended.id,)
    assert await store.old_logs(TENANT, days=0) == await store.drop_logs(TENANT, days=0) == ()
    assert await store.runs.read_events(TENANT, ended.id, 0) == ()
    assert await project.get(ended) == before
    assert len(await store.runs.list_artifacts(TENANT, project.id)) == 1
    assert await store.acks.get_ack(TENANT, ended.id, "u1", "tab") is None
    await store.acks.save_acks(TENANT, [ack(ended.id, 5)])
    assert await store.acks.get_ack(TENANT, ended.id, "u1", "tab") is None
    assert await store.acks.get_ack(TENANT, live.id, "u1", "tab") == 4
    assert len(await store.runs.read_events(TENANT, live.id, 0)) == 4


async def test_drop_logs_takes_acks_that_were_left_without_a_log(project: Project) -> None:
    """An ack whose log is gone does not stay for ever, whether or not there is another log to drop."""
    run, bare = await project.accept(), await project.accept()
    await project.store.acks.save_acks(TENANT, [ack(run.id, 1), ack(bare.id, 1)])
    drop = "DELETE FROM {tenant}.agent_run_events WHERE run_id = :run_id"
    await project.store._databases.write(TENANT, lambda session: session.execute(drop, run_id=bare.id))
    assert await project.store.acks.get_ack(TENANT, bare.id, "u1", "tab") == 1
    assert await project.store.drop_logs(TENANT, days=0) == ()
    assert await project.store.acks.get_ack(TENANT, bare.id, "u1", "tab") is None
    assert await project.store.acks.get_ack(TENANT, run.id, "u1", "tab") == 1
