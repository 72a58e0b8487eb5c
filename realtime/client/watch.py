"""Following one run across connections: which transport, from which cursor, and when to try again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from realtime.client.errors import ConnectionLostError, LinkLostError
from realtime.client.items import (
    Attached,
    Backoff,
    ConnectionState,
    Finished,
    LinkMessage,
    Position,
    Pulse,
    Reset,
    RunEvent,
    Transport,
    TransportChoice,
)
from realtime.client.site import Site
from realtime.client.socket import socket_messages
from realtime.client.sse import GetRun, sse_messages
from realtime.snapshot import RunSnapshot

WatchItem = RunEvent | Reset
OnConnection = Callable[[ConnectionState], None]


class WatchOptions:
    """How to follow a run; the same for every connection of one watch."""

    def __init__(
        self,
        *,
        client_id: str | None,
        transports: Sequence[Transport],
        max_wait_s: float | None,
        silence_s: float,
        on_connection: OnConnection | None,
    ) -> None:
        self.client_id = client_id
        self.transports = tuple(transports)
        self.max_wait_s = max_wait_s
        self.silence_s = silence_s
        self.on_connection = on_connection or (lambda _: None)


class Watch(AsyncIterator[WatchItem]):
    """The events of one run, each once and in order, across as many connections as that takes.

    It ends after the terminal event. Leaving the loop, `aclose` or the end of an ``async with`` closes the
    connection. Cancelling a wait loses nothing: the next one continues after the last event that was yielded.
    """

    def __init__(self, site: Site, position: Position, options: WatchOptions, get_run: GetRun) -> None:
        self._position = position
        self._start: Callable[[], AsyncGenerator[WatchItem, None]] = lambda: _follow(site, position, options, get_run)
        self._items = self._start()

    @property
    def run_id(self) -> str:
        """The run that is watched."""
        return self._position.run_id

    @property
    def cursor(self) -> int:
        """The id of the last event that was yielded: what to give another watch to continue from here."""
        return self._position.cursor or 0

    @property
    def snapshot(self) -> RunSnapshot | None:
        """The run as of the newest subscription; None before the first, and where SSE is spoken."""
        return self._position.snapshot

    async def __anext__(self) -> WatchItem:
        try:
            return await self._items.__anext__()
        except asyncio.CancelledError:
            self._items = self._start()
            raise

    async def aclose(self) -> None:
        """Close the connection; the watch yields nothing more. Idempotent."""
        self._position.ended = True
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _Patience:
    """When to give up: after ``max_wait_s`` seconds without an event, a heartbeat, or being up to date."""

    def __init__(self, max_wait_s: float | None) -> None:
        self._max_wait_s = max_wait_s
        self._loop = asyncio.get_running_loop()
        self._lost_at: float | None = self._loop.time()
        self.reason = "no connection was made"

    def restored(self) -> None:
        self._lost_at = None

    def lost(self, reason: str) -> None:
        self.reason = reason
        if self._lost_at is None:
            self._lost_at = self._loop.time()

    def limit(self) -> asyncio.Timeout:
        """The time that the next wait may take."""
        if self._max_wait_s is None or self._lost_at is None:
            return asyncio.timeout(None)
        return asyncio.timeout_at(self._lost_at + self._max_wait_s)

    def exhausted(self) -> ConnectionLostError:
        return ConnectionLostError(f"no connection for {self._max_wait_s:g} s: {self.reason}")


async def _follow(
    site: Site, position: Position, options: WatchOptions, get_run: GetRun
) -> AsyncGenerator[WatchItem, None]:
    choice, backoff, patience = TransportChoice(options.transports), Backoff(), _Patience(options.max_wait_s)
    while not position.ended:
        site.check_open()
        transport = choice.current
        options.on_connection(ConnectionState("connecting", transport))
        try:
            async with aclosing(_open(transport, site, position, options, get_run)) as link:
                while (message := await _next(link, patience)) is not None:
                    item = _note(message, transport, position, options)
                    if _shows_life(message, position):
                        patience.restored()
                    if isinstance(message, RunEvent | Pulse):
                        backoff.reset()
                        choice.progressed()
                    if item is not None:
                        yield item
                    if isinstance(item, Reset) and item.final:
                        return
            return
        except LinkLostError as error:
            lost = error
        site.check_open()
        patience.lost(lost.reason)
        delay_s = 0.0 if choice.failed(lost) else lost.retry_after_s + backoff.delay_s()
        options.on_connection(ConnectionState("waiting", transport, lost.reason, delay_s))
        try:
            async with patience.limit():
                await asyncio.sleep(delay_s)
        except TimeoutError:
            raise patience.exhausted() from None


def _open(
    transport: Transport, site: Site, position: Position, options: WatchOptions, get_run: GetRun
) -> AsyncGenerator[LinkMessage, None]:
    if transport is Transport.SSE:
        return sse_messages(site, position.run_id, position.cursor, options.silence_s, get_run)
    return socket_messages(site, position.run_id, position.cursor, options.client_id, options.silence_s)


async def _next(link: AsyncGenerator[LinkMessage, None], patience: _Patience) -> LinkMessage | None:
    try:
        async with patience.limit():
            return await link.__anext__()
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise patience.exhausted() from None


def _note(message: LinkMessage, transport: Transport, position: Position, options: WatchOptions) -> WatchItem | None:
    """Move the position on; the item that is to be yielded, if any."""
    match message:
        case Attached():
            position.attach(message)
            options.on_connection(ConnectionState("live", transport))
        case Reset():
            position.reset(message)
            options.on_connection(ConnectionState("live", transport))
            return message
        case RunEvent() if position.take(message):
            return message
        case Finished():
            position.finish()
    return None


def _shows_life(message: LinkMessage, position: Position) -> bool:
    return isinstance(message, RunEvent | Pulse | Reset) or position.in_sync
