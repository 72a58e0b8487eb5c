# ruff: noqa: ASYNC220  # nothing else runs in the loop that the child process could hold up
from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path

import pytest
from store_material import TENANT, Project, check_run, done, new_run, open_project, running, without_ages
from store_openers import OPENERS

from orchestrator.errors import StoreError
from orchestrator.store import Store

WRITER = Path(__file__).with_name("store_writer.py")


async def test_reopen_after_close_has_everything(implementation: str, place: str) -> None:
    """What was saved is there when the store is opened again, and the log goes on where it was."""
    async with await OPENERS[implementation](place) as store:
        project = await open_project(store)
        run = await project.accept()
        await project.save(run, running(run))
        before = without_ages(await project.get(run))
    async with await OPENERS[implementation](place) as store:
        project = await open_project(store)
        assert without_ages(await project.get(run)) == before
        assert await store.runs.unfinished_runs() == ((TENANT, run.id),)
        await project.save(run, done(run))
        assert (await check_run(store, TENANT, run.id)).last_event_id == 5


async def test_close_waits_for_work_and_refuses_more(implementation: str, place: str) -> None:
    """Closing lets what is under way finish; what comes later is a StoreError; closing again does nothing."""
    store = await OPENERS[implementation](place)
    project = await open_project(store)
    run = await project.accept()
    saves = [asyncio.create_task(project.save(run, running(run, percent=percent))) for percent in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert all(len(events) == 1 for events in await asyncio.gather(*saves))
    with pytest.raises(StoreError):
        await project.get(run)
    await store.close()


@pytest.mark.parametrize("seed", range(4))
async def test_cancelled_callers_leave_nothing_half_done(
    project: Project, implementation: str, place: str, seed: int
) -> None:
    """Callers cancelled at random moments: each save is whole or absent, logs equal rows, and the store goes on."""
    dice = random.Random(seed)
    store = project.store
    runs = [await project.accept() for _ in range(3)]
    fresh = [new_run(project.id) for _ in range(30)]

    def work(number: int) -> Awaitable[object]:
        run = runs[number % 3]
        match number % 5:
            case 0:
                return store.runs.accept_run(TENANT, fresh[number % 30])
            case 1:
                return project.get(run)
            case 2:
                return store.documents.add_documents(
                    TENANT, project.id, [(path, str(number)) for path in ("a.md", "b.md")]
                )
            case _:
                return project.save(run, running(run, 0, number % 100), running(run, 1, number % 100))

    for _ in range(10):
        tasks = [asyncio.ensure_future(work(dice.randrange(1000))) for _ in range(12)]
        for task in dice.sample(tasks, 9):
            await asyncio.sleep(dice.choice([0, 0, 0.0005, 0.002]))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(30):
        await asyncio.gather(*(project.get(run) for run in runs * 5))
        await project.save(runs[0], running(runs[0], 0), running(runs[0], 1))
    await store.close()  # after this nothing is under way any more
    async with await OPENERS[implementation](place) as store:
        for run in runs:
            assert (await check_run(store, TENANT, run.id)).last_event_id % 2 == 1
        for run in fresh:
            if await store.runs.get_run(TENANT, run.id) is not None:
                await check_run(store, TENANT, run.id)


async def test_save_whose_caller_is_cancelled_at_once_still_happens(project: Project) -> None:
    """A save that has begun goes on without its caller, to its commit."""
    run = await project.accept()
    task = asyncio.create_task(project.save(run, running(run)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await project.save(run, running(run, percent=1))
    assert (await check_run(project.store, TENANT, run.id)).last_event_id == 5


async def test_close_after_cancelled_callers_ends_all_threads(implementation: str, place: str) -> None:
    """No thread outlives the store, also when callers left in the middle of their work."""
    before = set(threading.enumerate())
    store = await OPENERS[implementation](place)
    project = await open_project(store)
    run = await project.accept()
    tasks = [asyncio.create_task(project.save(run, running(run))) for _ in range(20)]
    tasks += [asyncio.create_task(project.get(run)) for _ in range(20)]
    await asyncio.sleep(0.002)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)  # it may still be on its way out
        assert not thread.is_alive()


@pytest.mark.parametrize("lines", [9, 40, 90])
async def test_killed_writer_leaves_whole_saves_only(implementation: str, place: str, lines: int) -> None:
    """After SIGKILL amid writes, logs are contiguous, rows equal their fold, and no acknowledged save is lost."""
    command = [sys.executable, str(WRITER), implementation, place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        run_ids = [writer.stdout.readline().strip() for _ in range(8)]
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
    store: Store
    async with await OPENERS[implementation](place) as store:
        records = [await check_run(store, TENANT, run_id) for run_id in run_ids]
        assert records[0].last_event_id >= acknowledged
        assert all(record.last_event_id % 3 == 0 for record in records)
        project = await open_project(store)
        await project.accept()
