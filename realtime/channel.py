"""Messages from the server's reader of a connection to the application, lighter than an `asyncio.Queue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from realtime.light_event import LightEvent

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """First in, first out, for one receiver; with ``size`` items waiting, it holds senders up."""

    __slots__ = ("_changed", "_deliver", "_items", "_size")

    def __init__(self, size: int) -> None:
        self._items: list[Item] = []
        self._size = size
        self._changed = LightEvent()
        self._deliver: Callable[[Item], None] | None = None

    async def put(self, item: Item) -> None:
        """Add one item, as soon as there is room. Cancelling adds none."""
        while self._deliver is None and len(self._items) >= self._size:
            await self._change()
        if self._deliver is not None:
            self._deliver(item)
        else:
            self._items.append(item)
            self._changed.set()

    async def get(self) -> Item:
        """Take the oldest item, as soon as there is one. Cancelling takes none."""
        while not self._items:
            await self._change()
        item = self._items.pop(0)
        self._changed.set()
        return item

    def deliver_to(self, take: Callable[[Item], None]) -> None:
        """From now on call ``take`` with each item, in the sender's turn of the loop; first with those that wait."""
        self._deliver = take
        items, self._items = self._items, []
        for item in items:
            take(item)
        self._changed.set()

    async def _change(self) -> None:
        """Return when something was put or taken. Any number may wait; cancelling one disturbs no other."""
        self._changed.clear()
        await self._changed.wait()
