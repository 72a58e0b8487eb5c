"""Readings that are shared: many who ask at the same time, as after a restart, ask the store once.

The way of a group commit, the other way round: who asks while a reading is under way waits for the next one. So
every answer was read after it was asked for, just as if everybody had read by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """Reads values by ``read``, of many keys at a time; at most one reading of each group is under way.

    ``group_of`` says which keys are read together.
    """

    def __init__(
        self,
        read: Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]],
        group_of: Callable[[Key], Hashable],
    ) -> None:
        self._read = read
        self._group_of = group_of
        self._current: dict[Hashable, asyncio.Task[Mapping[Key, Value]]] = {}
        self._next: dict[Hashable, tuple[set[Key], asyncio.Task[Mapping[Key, Value]]]] = {}

    async def get(self, key: Key) -> Value | None:
        """The value of ``key`` as it is now; None: it has none.

        Raises what the reading raises. Cancelling leaves the reading to the others who wait for it.
        """
        group = self._group_of(key)
        if group not in self._next:
            reading = asyncio.get_running_loop().create_task(self._read_next(group, self._current.get(group)))
            reading.add_done_callback(_retrieve)
            self._next[group] = (set(), reading)
        keys, reading = self._next[group]
        keys.add(key)
        return (await asyncio.shield(reading)).get(key)

    async def _read_next(
        self, group: Hashable, current: asyncio.Task[Mapping[Key, Value]] | None
    ) -> Mapping[Key, Value]:
        if current is not None:
            await asyncio.wait({current})
        keys, reading = self._next.pop(group)
        self._current[group] = reading
        try:
            return await self._read(keys)
        finally:
            if self._current[group] is reading:
                del self._current[group]


def _retrieve(reading: asyncio.Task[object]) -> None:
    """Nobody may be left to see how it failed."""
    if not reading.cancelled():
        reading.exception()
