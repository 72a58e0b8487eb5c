"""The socket that a server listens on, which bounds what one peer can cost it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from weakref import WeakSet

BACKLOG = 2048
PEER_TIMEOUT_MS = 35_000
SEND_BUFFER_BYTES = 64 * 1024
"""What the kernel takes for one peer that does not read; left to itself it takes megabytes."""


class Listener(socket.socket):
    """Listens when it is made. Knows the connections that asyncio has accepted of it; uvloop accepts past it."""

    def __init__(self, host: str, port: int) -> None:
        """Port 0 takes a free one.

        Raises:
            OSError: nobody can listen there.

        """
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._host = host
        self._accepted: WeakSet[socket.socket] = WeakSet()
        try:
            self._listen(port)
        except OSError:
            self.close()
            raise

    def _listen(self, port: int) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_TIMEOUT_MS)
        self.bind((self._host, port))
        self.listen(BACKLOG)
        self.setblocking(False)

    def accept(self) -> tuple[socket.socket, Any]:
        """As of any socket."""
        connection, address = super().accept()
        self._accepted.add(connection)
        return connection, address

    def cut_all(self) -> None:
        """End the connections that are left, at once, also those in the middle of a TLS handshake."""
        for connection in tuple(self._accepted):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def base_url(self, scheme: str) -> str:
        """How to reach it from this machine."""
        port = self.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  # wildcards
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
