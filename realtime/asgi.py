"""The shape of an ASGI application, for what is wrapped around ours, and the headers in its scope.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[None]]
"""Takes a scope, a receive and a send; each library has types of its own for these."""


def header_lines(scope: Scope, name: bytes) -> list[str]:
    """The value of every header line of that name (in lower case), in the order they came."""
    return [value.decode("latin-1") for found, value in scope["headers"] if found.lower() == name]
