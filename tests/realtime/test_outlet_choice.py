"""Which outlet a connection gets: the direct one for GET over exactly HTTP/1.1, with a peer that is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.asgi_outlet import AsgiOutlet
from realtime.direct_outlet import DirectOutlet
from realtime.endpoints.outlets import socket_outlet, stream_outlet
from realtime.peer import STATE_KEY, Peer


@pytest.fixture
async def writer() -> AsyncIterator[asyncio.StreamWriter]:
    """The server's end of a connection."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    listening = await asyncio.start_server(lambda reader, writer: accepted.set_result(writer), "127.0.0.1", 0)
    _, peers_writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    server_end = await accepted
    yield server_end
    for end in (server_end, peers_writer):
        end.close()
        await end.wait_closed()
    listening.close()
    await listening.wait_closed()


def scope(writer: asyncio.StreamWriter, **changed: Any) -> dict[str, Any]:
    """What an ASGI server says of a connection that can be written to."""
    return {"type": "http", "method": "GET", "http_version": "1.1", "state": {STATE_KEY: Peer(writer)}, **changed}


def kinds(of: dict[str, Any]) -> tuple[type[object], type[object]]:
    """The outlets of a WebSocket and of a stream with that scope."""
    return type(socket_outlet(of)), type(stream_outlet(of))


async def test_get_over_http11_with_a_known_peer_is_direct(writer: asyncio.StreamWriter) -> None:
    """Ready bytes can be written to such a connection."""
    assert kinds(scope(writer)) == (DirectOutlet, DirectOutlet)


@pytest.mark.parametrize("version", ["1.0", "2", "2.0", "3", "1.10", ""])
async def test_other_version_is_portable(writer: asyncio.StreamWriter, version: str) -> None:
    """Neither chunks nor bare frames may be written to what is not exactly HTTP/1.1."""
    assert kinds(scope(writer, http_version=version)) == (AsgiOutlet, AsgiOutlet)


@pytest.mark.parametrize("method", ["HEAD", "POST", "get"])
async def test_stream_of_another_method_is_portable(writer: asyncio.StreamWriter, method: str) -> None:
    """The answer to HEAD has no body to write."""
    assert type(stream_outlet(scope(writer, method=method))) is AsgiOutlet


async def test_websocket_needs_no_method(writer: asyncio.StreamWriter) -> None:
    """The scope of a WebSocket has none."""
    of = scope(writer)
    del of["method"]
    assert type(socket_outlet(of)) is DirectOutlet


@pytest.mark.parametrize("state", [None, {}, {STATE_KEY: Peer()}])
async def test_unknown_peer_is_portable(writer: asyncio.StreamWriter, state: dict[str, Any] | None) -> None:
    """Under a server that hands no connection over, everything leaves through it."""
    assert kinds(scope(writer, state=state)) == (AsgiOutlet, AsgiOutlet)
    without = scope(writer)
    del without["state"]
    assert kinds(without) == (AsgiOutlet, AsgiOutlet)


async def test_connection_that_is_closing_is_portable(writer: asyncio.StreamWriter) -> None:
    """What the server has closed is not written to past it."""
    of = scope(writer)
    writer.close()
    assert kinds(of) == (AsgiOutlet, AsgiOutlet)
