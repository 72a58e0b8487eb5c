"""How bytes leave to one connection: what the broadcaster, and what a WebSocket, needs of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from realtime.page import Page

Message = TypeVar("Message", str, bytes)

MARK_BYTES = 64 * 1024
"""With this much waiting, a connection takes no more events: its viewers lag, each at its own cursor."""
LIMIT_BYTES = 1024 * 1024
"""With this much waiting (control frames that nobody reads), the connection is given up."""


class Line:
    """Where the broadcaster may write the bytes of pages by itself, without a call for each viewer.

    ``transport`` is None while nothing may be written; whoever uses it looks first if it is closing or owes more
    than `MARK_BYTES`, writes what ``page_bytes`` makes of a page, and notes the time in ``sent_at``.
    """

    __slots__ = ("page_bytes", "sent_at", "transport")

    def __init__(self, transport: asyncio.WriteTransport, page_bytes: Callable[[Page], bytes]) -> None:
        self.transport: asyncio.WriteTransport | None = transport
        self.page_bytes = page_bytes
        self.sent_at = time.monotonic()


class Outlet(Protocol):
    """How the events of runs leave to one connection. No function waits."""

    @property
    def line(self) -> Line | None:
        """A quicker way than `send_page`, the same for good; None: there is none."""
        ...

    @property
    def ready(self) -> bool:
        """True while it takes more."""
        ...

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once, when it takes more again; never if it is closed before."""
        ...

    def send_page(self, page: Page) -> int:
        """Send the events of a page, which is not empty, in their order; how many bytes that are."""
        ...


class MessageOutlet(Outlet, Protocol):
    """An outlet that sends text messages between the events, in the order of the calls."""

    def send(self, message: str) -> None:
        """Send one message after those that wait."""
        ...
