"""Who gets a place among the runs at work, and when."""

from __future__ import annotations

import asyncio
import random

from run_stage import turns

from orchestrator.slots import Slots


class Queue:
    """Those who want a place, by name, and the order in which they got one; each keeps it until it is told to go."""

    def __init__(self, places: int) -> None:
        self.slots = Slots(places)
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Let them come, one after the other; the first letter of a name is its tenant."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._stay(name))
            await turns(2)

    async def go(self, *names: str) -> None:
        """Let them leave, those who wait as well as those who have a place."""
        for name in names:
            self.tasks[name].cancel()
            await asyncio.gather(self.tasks[name], return_exceptions=True)
            await turns(2)

    @property
    def is_full(self) -> bool:
        """True where whoever comes now has to wait."""
        return self.slots._free == 0

    async def _stay(self, name: str) -> None:
        async with self.slots.place(name[0]):
            self.served.append(name)
            await asyncio.get_running_loop().create_future()


async def test_places_go_to_tenants_in_turn() -> None:
    """However many runs one tenant has queued, the other's only one is next but one at most."""
    queue = Queue(1)
    await queue.come("a1", "a2", "a3", "a4", "b1", "b2")
    for name in ("a1", "a2", "b1", "a3", "b2"):
        await queue.go(name)
    assert queue.served == ["a1", "a2", "b1", "a3", "b2", "a4"]
    await queue.go("a4")


async def test_place_that_is_free_is_had_at_once() -> None:
    """Nobody waits while there is room, and a place that is left is free again."""
    queue = Queue(2)
    await queue.come("a1", "a2")
    assert (queue.served, queue.is_full) == (["a1", "a2"], True)
    await queue.go("a1")
    assert not queue.is_full
    await queue.come("a3")
    assert queue.served[-1] == "a3"
    await queue.go("a2", "a3")


async def test_who_leaves_while_waiting_takes_no_place() -> None:
    """Cancelled in the queue, also in the moment in which its turn comes, it hands the place on."""
    queue = Queue(1)
    await queue.come("a1", "a2", "b1")
    await queue.go("a2")
    queue.tasks["a1"].cancel()
    queue.tasks["b1"].cancel()
    await asyncio.gather(*queue.tasks.values(), return_exceptions=True)
    assert not queue.is_full
    await queue.come("c1")
    assert queue.served[-1] == "c1"
    await queue.go("c1")


async def test_places_are_neither_lost_nor_doubled() -> None:
    """Whatever comes and goes, in any order, never more than the places are held, and at the end all are free."""
    chance = random.Random(5)
    queue = Queue(3)
    there: list[str] = []
    for number in range(300):
        if there and chance.random() < 0.5:
            await queue.go(there.pop(chance.randrange(len(there))))
        else:
            there.append(f"{chance.choice('abc')}{number}")
            await queue.come(there[-1])
        held = [name for name in there if name in queue.served]
        assert len(held) == min(3, len(there))
    await queue.go(*there)
    assert not queue.is_full
