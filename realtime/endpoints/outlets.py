"""Which outlet a viewer's connection gets: the direct one where ready bytes can be written past the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from realtime.asgi_outlet import AsgiOutlet
from realtime.direct_outlet import DirectOutlet
from realtime.page import Page
from realtime.peer import Peer
from realtime.wire import PING_FRAME, chunk, text_frame

PING = "ping"
"""Stands among the messages of a WebSocket for a ping. No JSON message is equal to it."""


def socket_outlet(scope: Mapping[str, Any]) -> DirectOutlet[str] | AsgiOutlet[str]:
    """The outlet of a WebSocket that has been accepted."""
    writer = _writer_of(scope)
    return AsgiOutlet(_texts) if writer is None else DirectOutlet(writer, attrgetter("frames"), _frame)


def stream_outlet(scope: Mapping[str, Any]) -> DirectOutlet[bytes] | AsgiOutlet[bytes]:
    """The outlet of an event stream whose head has been sent.

    A direct one writes chunks, which neither HTTP/1.0 nor HTTP/2 has, and a body, which no answer to HEAD has.
    """
    writer = _writer_of(scope) if scope["method"] == "GET" else None
    return AsgiOutlet(_streamed) if writer is None else DirectOutlet(writer, attrgetter("chunk"), chunk)


def _writer_of(scope: Mapping[str, Any]) -> asyncio.StreamWriter | None:
    """Where to write what goes to this connection alone."""
    if scope["http_version"] != "1.1":
        return None
    return Peer.of(scope).writer


def _texts(page: Page) -> Sequence[str]:
    return [event.text for event in page.events]


def _streamed(page: Page) -> Sequence[bytes]:
    return [event.sse for event in page.events]


def _frame(message: str) -> bytes:
    return PING_FRAME if message == PING else text_frame(message.encode())
