"""Bounds on what a request can have the server read, and on how long that may take.

Quart reads a body as it comes, whether or not anybody wants it, and counts only what is not handled yet: a form sent
in chunks has no end. Here little is read until the body is wanted, and all of it counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from io import BytesIO
from typing import Any, cast

from quart import Request, request
from quart.asgi import ASGIHTTPConnection
from quart.formparser import FormDataParser
from quart.wrappers.request import Body
from werkzeug.exceptions import RequestEntityTooLarge

from realtime.channel import Channel
from realtime.endpoints.departure import Departure
from realtime.light_event import LightEvent
from realtime.peer import Peer

MAX_REQUEST_BYTES = 64 * 1024
"""The most of any request, but for one that `permit_body` is called for."""
WITHOUT_BODY = frozenset({"GET", "HEAD"})
LINGER_S = 2.0
"""How long a client may go on sending a body that is answered already: cut off, it might never see the answer."""


class BoundedBody(Body):
    """A body of which ``MAX_REQUEST_BYTES`` are read until somebody wants it. Reading one over the limit raises."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(None, None)
        self._complete = cast("asyncio.Event", LightEvent())
        self._has_data = cast("asyncio.Event", LightEvent())
        self.limit = MAX_REQUEST_BYTES
        self.ended = LightEvent()
        self._expected = expected_content_length or 0
        self._received = 0
        self._wanted = LightEvent()
        self._dropping = False

    def append(self, data: bytes) -> None:
        """Take more of it."""
        self._received += len(data)
        if not self._dropping:
            super().append(data)
            self._check()

    def end(self) -> None:
        """There is no more."""
        self.ended.set()
        self.set_complete()

    @property
    def full(self) -> bool:
        """True where no more may be taken before it is wanted."""
        return self._received > MAX_REQUEST_BYTES

    async def room(self) -> None:
        """Return as soon as more may be taken."""
        if self.full:
            await self._wanted.wait()

    async def drop(self) -> None:
        """Forget what is left of it, until it ends; not for long."""
        if not self.ended.is_set():
            self._dropping = True
            self.clear()
            self._wanted.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self.ended.wait()

    async def __anext__(self) -> bytes:
        self._want()
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if self._must_raise is not None:
                raise self._must_raise from None
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        self._want()
        return super().__await__()

    def _want(self) -> None:
        self._wanted.set()
        self._check()

    def _check(self) -> None:
        if self._wanted.is_set() and max(self._expected, self._received) > self.limit:
            self._must_raise = RequestEntityTooLarge()
            self.clear()
            self.set_complete()


class MemoryForm(FormDataParser):
    """Reads a form into memory, where its files go anyway: one in a temporary file may stay open."""

    def __init__(self, **options: Any) -> None:
        super().__init__(stream_factory=lambda *_: BytesIO(), **options)


class BoundedRequest(Request):
    """A request with such a body. What is in ``ending`` is called, last first, when no more of the answer is sent."""

    body_class = BoundedBody
    form_data_parser_class = MemoryForm
    body: BoundedBody

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ending: list[Callable[[], object]] = []


class BoundedHttp(ASGIHTTPConnection):
    """Quart's HTTP connection for such requests.

    One that brings no body is handled in the server's own task, where the server delivers by itself what it receives.
    """

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve the request until it is answered or the client leaves."""
        channel = getattr(receive, "__self__", None)
        if self.scope["method"] not in WITHOUT_BODY or not isinstance(channel, Channel):
            await super().__call__(receive, send)
            return
        request = self._create_request_from_scope(send)
        departure = Departure()
        channel.deliver_to(partial(self._take, cast("BoundedRequest", request).body, departure))
        await departure.ends(self.handle_request(request, send))

    def _take(self, body: BoundedBody, departure: Departure, message: Any) -> None:
        if message["type"] == "http.disconnect":
            departure.leave()
        elif body.full:
            Peer.of(self.scope).abort()
        else:
            body.append(message.get("body", b""))
            if not message.get("more_body", False):
                body.end()

    async def handle_messages(self, request: Request, receive: Callable[[], Awaitable[Any]]) -> None:
        """Take what is received, as far as there is room, until the client leaves."""
        body = cast("BoundedRequest", request).body
        while (message := await receive())["type"] != "http.disconnect":
            body.append(message.get("body", b""))
            if not message.get("more_body", False):
                body.end()
            await body.room()

    async def handle_request(self, request: Request, send: Callable[[Any], Awaitable[None]]) -> None:
        """Answer, then wait a little for the rest of the body, then let the connection go on or end."""
        bounded = cast("BoundedRequest", request)

        async def send_after_all(message: Any) -> None:
            if message["type"] == "http.response.body":
                for headers in (bounded.headers, cast("list[object]", bounded.scope["headers"])):
                    headers.clear()  # nobody asks for them again, and a stream may last for days
                if not message.get("more_body", False):
                    await bounded.body.drop()
            await send(message)

        try:
            await super().handle_request(request, send_after_all)
        finally:
            while bounded.ending:
                bounded.ending.pop()()


def permit_body(most_bytes: int) -> None:
    """Let the current request have a body of up to ``most_bytes``; to be called before it is read."""
    bounded = cast("BoundedRequest", request)
    bounded.max_content_length = bounded.body.limit = most_bytes


def at_end_of_request(call: Callable[[], object]) -> None:
    """Have ``call`` called when the current request is over, however it ends: after the last byte, or a cut."""
    cast("BoundedRequest", request).ending.append(call)
