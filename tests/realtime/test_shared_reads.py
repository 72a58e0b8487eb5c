"""Sharing readings of the store: fewer of them, and no answer that is older than its question."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from realtime.shared_reads import SharedReads


class Shelf:
    """Values that are read when the gate opens, and a note of every reading."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.readings: list[set[str]] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None
        self.reads = SharedReads(self.read, lambda key: key[0])

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        """What is there now of these keys; it arrives when the gate opens."""
        self.readings.append(set(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return found

    def ask(self, key: str) -> asyncio.Task[int | None]:
        """Somebody who asks for ``key``."""
        return asyncio.ensure_future(self.reads.get(key))


async def test_questions_of_one_moment_are_one_reading() -> None:
    """A thousand viewers who come back together ask the store once; what is not there is None."""
    shelf = Shelf()
    shelf.values = {"a1": 1, "a2": 2}
    shelf.gate.set()
    asked = [shelf.ask(key) for key in ("a1", "a2", "a3") for _ in range(1000)]
    assert await asyncio.gather(*asked) == [1] * 1000 + [2] * 1000 + [None] * 1000
    assert shelf.readings == [{"a1", "a2", "a3"}]


async def test_answer_is_never_older_than_its_question() -> None:
    """Who asks while a reading is under way gets the next one, which sees what was written in between."""
    shelf = Shelf()
    shelf.values = {"a": 1}
    first = shelf.ask("a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    shelf.values = {"a": 2}
    later = [shelf.ask("a") for _ in range(3)]
    await asyncio.sleep(0)
    shelf.gate.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2, 2, 2]
    assert len(shelf.readings) == 2
    assert await shelf.ask("a") == 2
    assert len(shelf.readings) == 3


async def test_groups_do_not_wait_for_each_other() -> None:
    """A reading that hangs holds up its own group alone."""
    shelf = Shelf()
    shelf.values = {"a": 1, "b": 2}
    hanging = shelf.ask("a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    other = shelf.ask("b")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shelf.readings == [{"a"}, {"b"}]
    shelf.gate.set()
    assert (await hanging, await other) == (1, 2)


async def test_failure_reaches_everybody_and_the_next_reading_is_a_new_one() -> None:
    """Nobody gets another answer than the store's; cancelling one leaves the others theirs."""
    shelf = Shelf()
    shelf.values = {"a": 1}
    shelf.failure = OSError("no store")
    asked = [shelf.ask("a") for _ in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    shelf.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, OSError, OSError]
    shelf.failure = None
    assert await shelf.ask("a") == 1
    with pytest.raises(KeyError):
        assert shelf.reads._current["a"]
