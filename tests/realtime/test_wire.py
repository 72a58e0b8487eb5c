"""Bytes that are written as they are, read back by libraries that were not written here."""

from __future__ import annotations

import h11
import pytest
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import Ping, TextMessage

from realtime.wire import PING_FRAME, chunk, text_frame

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 200_000]


def client() -> Connection:
    """The reading half of a WebSocket client, after its handshake."""
    connection = Connection(ConnectionType.CLIENT)
    assert connection.state is ConnectionState.OPEN
    return connection


@pytest.mark.parametrize("size", SIZES)
def test_text_frame_of_any_size_is_one_message(size: int) -> None:
    """Around every border of the length field, a client reads the text that was framed, and nothing more."""
    text = "ü" * (size // 2) + "x" * (size % 2)
    reader = client()
    reader.receive_data(text_frame(text.encode()))
    assert list(reader.events()) == [TextMessage(text, True, True)]


def test_ping_frame_is_a_ping() -> None:
    """A client answers it as every other ping."""
    reader = client()
    reader.receive_data(PING_FRAME)
    assert [type(event) for event in reader.events()] == [Ping]


def test_chunk_without_data_is_refused() -> None:
    """It would end the body in the middle of a run."""
    with pytest.raises(ValueError, match="ends the body"):
        chunk(b"")


@pytest.mark.parametrize("size", SIZES[1:])
def test_chunk_of_any_size_is_its_data(size: int) -> None:
    """A client of HTTP/1.1 reads from a chunk what was put into it."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reader.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(reader.next_event(), h11.Response)
    reader.receive_data(chunk(b"x" * size))
    body = b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += event.data
    assert body == b"x" * size
