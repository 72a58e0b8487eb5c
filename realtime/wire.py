"""Bytes that can be written to a connection as they are: whole WebSocket frames, whole HTTP/1.1 chunks. Pure."""

from __future__ import annotations

from struct import Struct

_SHORT = Struct("!BB").pack
_MIDDLE = Struct("!BBH").pack
_LONG = Struct("!BBQ").pack

_FIN_TEXT = 0x81

PING_FRAME = b"\x89\x00"
"""A ping without a payload: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2"""


def text_frame(text: bytes) -> bytes:
    """One unmasked, final frame with a text message, in UTF-8: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

    It is not compressed, which is legal where permessage-deflate was negotiated as well: RFC 7692, section 6.
    """
    size = len(text)
    if size < 126:
        return _SHORT(_FIN_TEXT, size) + text
    if size < 1 << 16:
        return _MIDDLE(_FIN_TEXT, 126, size) + text
    return _LONG(_FIN_TEXT, 127, size) + text


def chunk(data: bytes) -> bytes:
    """``data`` in one chunk: https://www.rfc-editor.org/rfc/rfc9112#section-7.1

    Raises:
        ValueError: ``data`` is empty: such a chunk would end the body.

    """
    if not data:
        raise ValueError("a chunk without data ends the body")
    return b"%x\r\n%b\r\n" % (len(data), data)
