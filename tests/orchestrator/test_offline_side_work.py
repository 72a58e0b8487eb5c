"""The threads of the offline model: bounded, and in nobody's way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
from manual_clock import PATIENCE_S

from orchestrator.llm.offline.side_work import MOST_AT_ONCE, SideWork

ENDLESS = """
import asyncio, time
from orchestrator.llm.offline.side_work import SideWork

async def main():
    work = asyncio.ensure_future(SideWork().do(time.sleep, 600))
    await asyncio.sleep(0.1)
    work.cancel()
    await asyncio.wait({work})

asyncio.run(main())
"""


class Gate:
    """Work that waits in its thread for the test."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()

    def pass_through(self, name: str) -> str:
        self.begun.release()
        assert self.opened.wait(PATIENCE_S)
        return name

    async def until_begun(self, number: int) -> None:
        for _ in range(number):
            assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


async def test_result_and_error_reach_the_caller() -> None:
    """What the function returns or raises is the caller's."""
    work = SideWork()
    assert await work.do(int, "7") == 7
    with pytest.raises(ValueError, match="seven"):
        await work.do(int, "seven")


async def test_more_than_the_bound_wait_also_for_those_whose_callers_left() -> None:
    """Threads that nobody listens to any more count until they end; then whoever waited goes on, in order."""
    work, gate = SideWork(), Gate()
    left = [asyncio.ensure_future(work.do(gate.pass_through, "left")) for _ in range(MOST_AT_ONCE)]
    await gate.until_begun(MOST_AT_ONCE)
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    waiting = asyncio.ensure_future(work.do(gate.pass_through, "waited"))
    impatient = asyncio.ensure_future(work.do(gate.pass_through, "never"))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    assert not gate.begun.acquire(blocking=False)
    gate.opened.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await waiting == "waited"


def test_process_ends_without_waiting_for_work_that_nobody_wants() -> None:
    """A cancelled piece of work that goes on for ten minutes keeps neither loop nor process, and says nothing."""
    ended = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, timeout=PATIENCE_S, check=True)
    assert ended.stderr == b""
