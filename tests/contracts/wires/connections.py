"""A client's end of a TCP or TLS connection, of which nothing is read before it is asked for, on any event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

READ_BYTES = 64 * 1024
SLOW_BYTES = 8 * 1024
"""What the kernel may hold for a peer that reads slowly."""


class Connection:
    """TLS is done here and not by the loop, which would read ahead, and may drop at the end what nobody has read."""

    def __init__(self, connected: socket.socket, trust: ssl.SSLContext | None, host: str) -> None:
        self._socket = connected
        self._came = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = None if trust is None else trust.wrap_bio(self._came, self._leaving, server_hostname=host)

    async def receive(self) -> bytes:
        """Some bytes; empty when the server has closed or cut the connection."""
        if self._tls is None:
            return await self._receive()
        while True:
            try:
                return self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                if not (data := await self._receive()):
                    return b""
                self._came.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    async def receive_exactly(self, size: int) -> bytes:
        """So many bytes, and none beyond them."""
        data = bytearray()
        while len(data) < size:
            came = await self.receive()
            assert came, f"the connection ended after {len(data)} bytes; expected {size}"
            data += came
        assert len(data) == size, f"{len(data)} bytes came; expected {size}"
        return bytes(data)

    async def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: the server has cut the connection.

        """
        if self._tls is not None:
            self._tls.write(data)
            data = self._leaving.read()
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def shake_hands(self) -> None:
        """Begin TLS, where it is to be spoken."""
        done = self._tls is None
        while self._tls is not None and not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                await self._send_waiting()
                self._came.write(await self._receive())
        await self._send_waiting()

    def cut(self) -> None:
        """Reset the connection. Idempotent."""
        if self._socket.fileno() != -1:
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._socket.close()

    async def _send_waiting(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, self._leaving.read())

    async def _receive(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)
        return b""


@contextlib.asynccontextmanager
async def connected(
    host: str, port: int, trust: ssl.SSLContext | None = None, *, slow: bool = False
) -> AsyncIterator[Connection]:
    """A connection, cut in the end; for a slow one the kernel holds little."""
    with socket.socket() as made:
        made.setblocking(False)
        if slow:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BYTES)
        await asyncio.get_running_loop().sock_connect(made, (host, port))
        connection = Connection(made, trust, host)
        await connection.shake_hands()
        try:
            yield connection
        finally:
            connection.cut()
