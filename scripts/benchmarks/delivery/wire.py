"""The bytes of WebSocket and SSE, read as cheaply as Python allows. Pure.

https://www.rfc-editor.org/rfc/rfc6455#section-5.2
https://www.rfc-editor.org/rfc/rfc9112#section-7.1
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

TEXT = 1
CLOSE = 8
PING = 9
PONG = 10

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_ID = re.compile(rb'"id":(\d+),"type":|^id: (\d+)\r?$', re.MULTILINE)
_SENT = re.compile(rb'"sent_ns":(\d+)')

Stream = bytes | bytearray


class Message(NamedTuple):
    """One WebSocket frame, or one block of an SSE stream, which counts as text."""

    end: int
    """Where in the stream it ends."""
    opcode: int
    body: bytes


class Numbered(NamedTuple):
    """What is measured of an event."""

    id: int
    sent_ns: int
    """By the monotonic clock of this machine; 0: it does not say."""


NextMessage = Callable[[Stream, int], Message | None]
"""The message that starts at an offset of a stream; None: it is not whole yet."""


def next_frame(stream: Stream, start: int) -> Message | None:
    """The WebSocket frame at ``start``. Servers send whole messages, unmasked."""
    if len(stream) < start + 2:
        return None
    length, head = stream[start + 1], start + 2
    if length >= 126:
        wide = 2 if length == 126 else 8
        length, head = int.from_bytes(stream[head : head + wide], "big"), head + wide
    end = head + length
    return Message(end, stream[start] & 15, bytes(stream[head:end])) if end <= len(stream) else None


def next_block(stream: Stream, start: int) -> Message | None:
    """The SSE block at ``start``, up to and with its blank line."""
    blank = _BLANK_LINE.search(stream, start)
    return None if blank is None else Message(blank.end(), TEXT, bytes(stream[start : blank.end()]))


def read_event(message: Message) -> Numbered | None:
    """The event in a message: its id in the object where it has one there, else on SSE's ``id:`` line.

    None: the message is something else, such as an answer, a heartbeat or a ping.
    """
    if message.opcode != TEXT:
        return None
    found = _ID.search(message.body)
    if found is not None and found[1] is None:  # nchan has ids of its own on that line
        found = next((other for other in _ID.finditer(message.body) if other[1] is not None), found)
    if found is None:
        return None
    sent = _SENT.search(message.body)
    return Numbered(int(found[1] or found[2]), int(sent[1]) if sent else 0)


def masked_frame(opcode: int, body: bytes) -> bytes:
    """One frame from a client. The mask is zero, which leaves the body as it is."""
    length = len(body)
    head = (
        bytes([128 | opcode, 128 | length])
        if length < 126
        else bytes([128 | opcode, 254]) + length.to_bytes(2, "big")
    )
    return head + bytes(4) + body


class Stripped:
    """The last whole chunks that any viewer of a run got, and what was in them: most get the very same."""

    def __init__(self) -> None:
        self.chunks = b""
        self.body = b""


class Dechunker:
    """Takes the chunks of an HTTP/1.1 body off: how a server cut the stream is its own affair."""

    def __init__(self, last: Stripped) -> None:
        self._last = last
        self._rest = b""

    def strip(self, data: bytes) -> bytes:
        """What the whole chunks in ``data`` hold; a part of one waits for the rest."""
        last = self._last
        if self._rest:
            data = self._rest + data
        elif data == last.chunks:
            return last.body
        body = self._strip(data)
        if not self._rest:
            last.chunks, last.body = data, body
        return body

    def _strip(self, data: bytes) -> bytes:
        parts, at = [], 0
        while (line_end := data.find(b"\r\n", at)) >= 0:
            begin = line_end + 2
            end = begin + int(data[at:line_end], 16)
            if end + 2 > len(data):
                break
            parts.append(data[begin:end])
            at = end + 2
        self._rest = data[at:]
        return parts[0] if len(parts) == 1 else b"".join(parts)
