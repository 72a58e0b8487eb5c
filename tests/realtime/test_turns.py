"""Turns of what is done beside the event loop."""

from __future__ import annotations

import asyncio
import threading

from realtime.turns import Turns


class Work:
    """Work that goes on until it may end, and how many pieces of it were under way at each beginning."""

    def __init__(self) -> None:
        self.active: list[int] = []
        self.begun = asyncio.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self._loop = asyncio.get_running_loop()
        self._under_way = 0

    def __call__(self) -> None:
        self._under_way += 1
        self.active.append(self._under_way)
        self._loop.call_soon_threadsafe(self.begun.release)
        assert self.may_end.acquire(timeout=10)
        self._under_way -= 1


async def test_reader_who_leaves_keeps_the_turn_until_the_work_is_done() -> None:
    """A thread cannot be stopped: whoever comes next waits for it; who leaves while waiting gets no turn."""
    turns, work = Turns(), Work()
    async with asyncio.timeout(30), asyncio.TaskGroup() as readers:
        first, second, third = (readers.create_task(turns.take(work)) for _ in range(3))
        await work.begun.acquire()
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
        assert work.begun.locked()
        work.may_end.release()
        await work.begun.acquire()
        work.may_end.release()
        await third
    assert work.active == [1, 1]


async def test_work_that_fails_ends_its_turn() -> None:
    """Its caller is told; the next one gets an answer."""
    turns = Turns()
    failed, answered = await asyncio.gather(
        turns.take(lambda: int("x")), turns.take(lambda: int("7")), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert answered == 7
