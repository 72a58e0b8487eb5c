"""The server as one client sees it: where it is, who asks, and the connections that are open to it."""

from __future__ import annotations

import ipaddress
import os
import ssl

import httpx2
from websockets.asyncio.client import ClientConnection

from realtime import __version__
from realtime.client.errors import RunClientError

USER_AGENT = f"runcast/{__version__}"
CONNECT_S = 10.0
"""How long opening a connection may take."""


def _is_loopback(host: str) -> bool:
    """True for this machine itself: no proxy of the environment is in between, whatever it says."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _default_trust() -> ssl.SSLContext:
    """Trust in the authorities that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` name, else in those of the system."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or "the system's"
        raise RunClientError(f"no trusted certificates, {named} cannot be read: {error.strerror or error}") from None


class Site:
    """One server. Owns every connection to it; `aclose` leaves none open. Of http, its ``ssl_context`` is None."""

    def __init__(self, url: str, token: str | None, ssl_context: ssl.SSLContext | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"expected a URL that starts with http:// or https://, got {url!r}")
        self.url = url.rstrip("/")
        self.token = token
        self.ssl_context = (ssl_context or _default_trust()) if url.startswith("https://") else None
        self.sockets: set[ClientConnection] = set()
        self._closed = False
        self.proxied = not _is_loopback(httpx2.URL(self.url).host)
        self.http = httpx2.AsyncClient(
            trust_env=self.proxied,
            headers={"User-Agent": USER_AGENT},
            timeout=httpx2.Timeout(30.0, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=4),
            verify=self.ssl_context or True,
        )

    @property
    def socket_url(self) -> str:
        """The address of the WebSocket endpoint."""
        return f"ws{self.url.removeprefix('http')}/api/v1/ws"

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def check_open(self) -> None:
        """Raise `RunClientError` where `aclose` has been called."""
        if self._closed:
            raise RunClientError("the client is closed")

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
        self._closed = True
        for socket in tuple(self.sockets):
            await socket.close()
        await self.http.aclose()
