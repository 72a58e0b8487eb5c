"""Who really asks, when a proxy stands before the server: ``X-Forwarded-…``, believed from known proxies only.

Anybody can send these headers; only a proxy that is known to set them makes them mean something. RFC 7239's
``Forwarded`` is not read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from realtime.asgi import Application, Receive, Scope, Send, header_lines
from realtime.origins import parse_origin

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ADDRESS = re.compile(r"\[([0-9a-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9a-f:.]+)", re.I | re.ASCII)
_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_SCHEMES = {("http", False): "http", ("http", True): "https", ("websocket", False): "ws", ("websocket", True): "wss"}


def parse_network(text: str) -> Network:
    """The network, or the one address, that ``text`` names.

    Raises:
        ValueError: it names none, or has bits beyond its mask; the text says what was expected.

    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; expected an address or a network such as 10.0.0.0/8") from None


def parse_address(text: str) -> Address | None:
    """The address in one entry of ``X-Forwarded-For``, with or without a port; None: there is none.

    An IPv4 address that is written as an IPv6 one is that IPv4 address.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(next(filter(None, match.groups())))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class TrustedProxies:
    """An application that sees what the proxies in ``networks`` say of a request: its client, scheme and host.

    Of addresses in a chain the right-most that is no such proxy is the client: what stands left of it the client may
    have written itself. Where a part is missing or malformed, the request stays as the connection shows it.
    """

    def __init__(self, app: Application, networks: Iterable[str]) -> None:
        self._app = app
        self._networks = tuple(parse_network(network) for network in networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in {"http", "websocket"} and self._trusts(_peer(scope)):
            scope = self._as_forwarded(scope)
        await self._app(scope, receive, send)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def _as_forwarded(self, scope: Scope) -> Scope:
        seen = {**scope}
        client = self._client(_entries(scope, b"x-forwarded-for"))
        if client is not None:
            seen["client"] = (str(client), 0)
        secure = _SECURE.get(_last(scope, b"x-forwarded-proto").lower())
        if secure is not None:
            seen["scheme"] = _SCHEMES[scope["type"], secure]
        host = _last(scope, b"x-forwarded-host")
        if _is_host(host):
            others = [header for header in scope["headers"] if header[0].lower() != b"host"]
            seen["headers"] = [(b"host", host.encode()), *others]
        return seen

    def _client(self, chain: list[str]) -> Address | None:
        """The right-most address that is no proxy of ours, else the left-most that can be read."""
        client = None
        for entry in reversed(chain):
            address = parse_address(entry)
            if address is None:
                return client
            client = address
            if not self._trusts(address):
                return client
        return client


def _peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return None if client is None else parse_address(client[0].partition("%")[0])


def _entries(scope: Scope, name: bytes) -> list[str]:
    return ",".join(header_lines(scope, name)).split(",")


def _last(scope: Scope, name: bytes) -> str:
    """What the nearest proxy said; empty: nothing."""
    return _entries(scope, name)[-1].strip()


def _is_host(text: str) -> bool:
    try:
        parse_origin(f"http://{text}")
    except ValueError:
        return False
    return True
