"""How connections over TLS end: at a drain, by a peer that does nothing, and before they have begun."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from certificates import Secured
from http2_peer import http2_socket
from live import LiveServer, live_server
from raw_peer import raw_http
from seeded import seed_run
from tls_stage import address_of, http2, secured, server, stream_of

from realtime import server as server_module

__all__ = ["secured", "server"]

SOON_S = 5.0
"""Less than the server waits for a goodbye that nobody answers."""


async def test_drain_ends_every_kind_of_viewer_at_once(tmp_path: Path, secured: Secured) -> None:
    """WebSockets are closed with 1012 and streams come to their proper end, over HTTP/1.1 and HTTP/2, soon."""
    async with contextlib.AsyncExitStack() as viewers:
        async with live_server(tmp_path / "home", ssl_context=secured.trust(), **secured.settings) as server:
            run = await seed_run(server)
            enter = viewers.enter_async_context
            client = await enter(http2(server, secured))
            sockets = [await enter(server.socket()), await enter(http2_socket(server, secured.trust()))]
            plain = await enter(raw_http(server.url, stream_of(run), server.headers, ssl_context=secured.trust()))
            source = await enter(client.sse(stream_of(run)))
            assert await plain.event() is not None
            streamed = asyncio.ensure_future(drawn(source))
            told = [asyncio.ensure_future(received(viewer)) for viewer in sockets]
            began = time.monotonic()
        assert time.monotonic() - began < SOON_S
        assert await streamed == ["1"]
        assert await plain.event() is None
        assert await asyncio.gather(*told) == [1012, 1012]


async def drawn(source: httpx2.EventSource) -> list[str]:
    """The ids of a stream that comes to its proper end."""
    return [event.id async for event in source if event.data]


async def received(viewer: Any) -> int:
    """The code with which a WebSocket ends."""
    if hasattr(viewer, "connection"):
        await viewer.connection.wait_closed()
        return int(viewer.connection.close_code)
    while await viewer.receive() is not None:
        pass
    return int(viewer.closed_with)


async def test_drain_does_not_wait_for_peers_that_do_nothing(
    tmp_path: Path, secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peers that read nothing, that never say goodbye to TLS or never finish its handshake, are left behind."""
    drain_s = 0.2
    monkeypatch.setattr(server_module, "DRAIN_S", drain_s)
    with contextlib.ExitStack() as peers:
        async with live_server(tmp_path / "home", ssl_context=secured.trust(), **secured.settings) as server:
            run = await seed_run(server)
            for _ in range(10):
                await run.progress(*["x" * 900 + str(number) for number in range(100)])
            silent = peers.enter_context(socket.create_connection(address_of(server)))
            for _ in range(3):
                await asyncio.to_thread(ask_and_read_a_little, peers, server, secured, stream_of(run))
            began = time.monotonic()
        assert time.monotonic() - began < drain_s + 1 + SOON_S
        silent.settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert silent.recv(1) == b""


def ask_and_read_a_little(
    peers: contextlib.ExitStack, server: LiveServer, secured: Secured, path: str
) -> ssl.SSLSocket:
    """A peer that asks for a stream, its only one, reads how it begins, and does nothing after that."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address_of(server))
    peer = peers.enter_context(secured.trust().wrap_socket(connection, server_hostname="127.0.0.1"))
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.token}", "Connection: close"]
    peer.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert peer.recv(12) == b"HTTP/1.1 200"
    return peer


async def test_unanswered_end_of_tls_is_not_waited_for(server: LiveServer, secured: Secured) -> None:
    """A server that has said its last word closes, also where the peer says none: as without TLS."""
    assert await asyncio.to_thread(hear_out, server, secured) == b""


def hear_out(server: LiveServer, secured: Secured) -> bytes:
    """Hear an answer and that TLS ends, answer nothing to that, and return what then comes of TCP."""
    connection = socket.create_connection(address_of(server), timeout=SOON_S)
    with secured.trust().wrap_socket(connection, server_hostname="127.0.0.1") as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while peer.recv(65536):
            pass
        with socket.socket(fileno=peer.detach()) as bare:
            bare.settimeout(SOON_S)
            return bare.recv(1)


async def test_slow_reader_gets_the_last_words(server: LiveServer, secured: Secured) -> None:
    """Whoever still reads when the server has said all and closed gets everything, to the last chunk."""
    run = await seed_run(server)
    for _ in range(4):
        await run.progress(*["x" * 900 + str(number) for number in range(100)])
    await run.finish()
    with contextlib.ExitStack() as peers:
        peer = await asyncio.to_thread(ask_and_read_a_little, peers, server, secured, stream_of(run))
        body = await asyncio.to_thread(read_slowly, peer)
    assert body.count(b"\nid: ") == 402
    assert body.endswith(b"0\r\n\r\n")


def read_slowly(peer: ssl.SSLSocket) -> bytes:
    """What there is until TLS ends, two kilobytes a millisecond."""
    peer.settimeout(SOON_S)
    heard = b""
    while data := peer.recv(2048):
        heard += data
        time.sleep(0.001)
    return heard


async def test_handshake_that_never_ends_is_let_go(
    tmp_path: Path, secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever connects and does not finish the TLS handshake loses the connection; others are served meanwhile."""
    monkeypatch.setattr(server_module, "HANDSHAKE_S", 0.3)
    async with live_server(tmp_path / "home", ssl_context=secured.trust(), **secured.settings) as server:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(*address_of(server))
        writer.write(b"\x16\x03\x01")  # how a ClientHello begins
        assert (await server.http.get("/healthz")).status_code == 200
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        assert time.monotonic() - began >= 0.3
        writer.close()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100)])
async def test_peer_that_speaks_no_tls_leaves_no_trace(
    server: LiveServer, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Plain HTTP, and bytes that are no handshake, end the connection; nothing is served, and nothing logged."""
    with caplog.at_level(logging.WARNING):
        reader, writer = await asyncio.open_connection(*address_of(server))
        writer.write(said)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
        writer.close()
        assert (await server.http.get("/healthz")).status_code == 200
    assert caplog.messages == []
