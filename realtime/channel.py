"""Messages from the server's reader of a connection to the application, lighter than an `asyncio.Queue`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """First in, first out, for one receiver; with ``size`` items waiting, it holds senders up."""

    __slots__ = ("_changed", "_deliver", "_items", "_size")

    def __init__(self, size: int) -> None:
        self._items: list[Item] = []
        self._size = size
        self._changed: asyncio.Future[None] | None = None
        self._deliver: Callable[[Item], None] | None = None

    async def put(self, item: Item) -> None:
        """Add one item, as soon as there is room. Cancelling adds none."""
        while self._deliver is None and len(self._items) >= self._size:
            await self._change()
        if self._deliver is not None:
            self._deliver(item)
        else:
            self._items.append(item)
            self._wake()

    async def get(self) -> Item:
        """Take the oldest item, as soon as there is one. Cancelling takes none."""
        while not self._items:
            await self._change()
        item = self._items.pop(0)
        self._wake()
        return item

    def deliver_to(self, take: Callable[[Item], None]) -> None:
        """From now on call ``take`` with each item, in the sender's turn of the loop; first with those that wait."""
        self._deliver = take
        items, self._items = self._items, []
        for item in items:
            take(item)
        self._wake()

    async def _change(self) -> None:
        """Return when something was put or taken. Any number may wait; cancelling one disturbs no other."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
