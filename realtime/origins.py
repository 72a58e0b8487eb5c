"""Which pages may use this server: those it serves itself, and those of the origins it was told of. Pure.

A browser says with ``Origin`` whose page is asking; nothing else can be believed about that. An opaque origin
(``null``: a sandboxed frame, a file) is nobody's and never allowed. https://www.rfc-editor.org/rfc/rfc6454
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address

_ORIGIN = re.compile(r"(https?)://([a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}


def parse_origin(text: str) -> str:
    """``text`` as a browser would write it: in lower case, and without the port that its scheme implies.

    Raises:
        ValueError: it is no origin of http or https; the text says what was expected.

    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise ValueError(
            f"{text[:200]!r} is no origin; expected http(s)://host or http(s)://host:port, nothing after it"
        )
    scheme, host, port = match.groups()
    if host.startswith("["):
        host = f"[{IPv6Address(host[1:-1]).compressed}]"
    if port is None or int(port) == _DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    if not 0 < int(port) < 65536:
        raise ValueError(f"{text[:200]!r} has the port {port}; expected 1 to 65535")
    return f"{scheme}://{host}:{int(port)}"


def parse_public_url(text: str) -> str:
    """The origin of the pages served at ``text``, which may end in one slash.

    Raises:
        ValueError: it is no such address; pages below a path are served at none.

    """
    return parse_origin(text.removesuffix("/"))


class Origins:
    """The one place that decides about origins, for WebSocket, SSE and REST alike.

    ``public_url`` is where browsers reach this server; None: each request says so itself, by its scheme and host.
    ``others`` are the origins of pages elsewhere that may embed runs.

    The session's cookie is for our own pages only. Pages elsewhere, also those of the same site, for which browsers
    send it, identify themselves with a Bearer token, or the WebSocket's ``authenticate``; they sign nobody in or out.
    """

    def __init__(self, public_url: str | None = None, others: Iterable[str] = ()) -> None:
        self._own = None if public_url is None else parse_public_url(public_url)
        self._others = frozenset(parse_origin(other) for other in others)

    @property
    def secure(self) -> bool:
        """True where browsers are known to come by https, whatever the last hop looks like."""
        return self._own is not None and self._own.startswith("https:")

    def embeds(self, origin: str) -> bool:
        """True for the origin of a page elsewhere that may use this server."""
        return _parsed(origin) in self._others

    def allows(self, origin: str, scheme: str, host: str) -> bool:
        """True where a page of ``origin`` may use this server, which was reached under ``scheme`` and ``host``."""
        return self.embeds(origin) or self.is_own(origin, scheme, host)

    def is_own(self, origin: str, scheme: str, host: str) -> bool:
        """True for the origin of the pages that this server serves itself, reached under ``scheme`` and ``host``."""
        asking = _parsed(origin)
        own = self._own or _parsed(f"{_HTTP_SCHEMES.get(scheme, scheme)}://{host}")
        return asking is not None and asking == own


def _parsed(origin: str) -> str | None:
    try:
        return parse_origin(origin)
    except ValueError:
        return None
