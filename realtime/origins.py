"""Which Origins may act for a user whose browser adds the cookie by itself."""

from __future__ import annotations


def origin_is_own(origin: str, scheme: str, host: str) -> bool:
    """True where ``origin`` is the one that a page served here under ``scheme`` and ``host`` has; ``null`` is not.

    https://www.rfc-editor.org/rfc/rfc6454#section-4
    """
    http_scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return origin.lower() == f"{http_scheme}://{host}".lower()
