"""Who is called when a file descriptor has something: epoll, and nothing around it."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Self


class Reactor:
    """One callback per file descriptor. Used as a context manager."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()

    def watch(self, fd: int, callback: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """Call back whenever one of these events is there, until `forget`."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, events)

    def change(self, fd: int, callback: Callable[[], None], events: int) -> None:
        """Another callback for other events."""
        self._callbacks[fd] = callback
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Call back no more. One that is not watched is nothing new."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def run_until(self, done: Callable[[], bool], timeout_s: float, tick: Callable[[], float] | None = None) -> bool:
        """Call back until ``done``; False: that took longer than ``timeout_s``.

        ``tick`` is called each time before waiting and says how many seconds to wait at most.
        """
        callbacks, poll = self._callbacks, self._epoll.poll
        deadline = time.monotonic() + timeout_s
        while not done():
            wait_s = min(deadline - time.monotonic(), 1.0)
            if wait_s <= 0:
                return False
            if tick is not None:
                wait_s = min(wait_s, max(0.0, tick()))
            for fd, _ in poll(wait_s, 1024):
                callback = callbacks.get(fd)
                if callback is not None:
                    callback()
        return True
