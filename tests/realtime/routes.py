"""The routes of a running server, from its URL map, as the API's description writes them."""

from __future__ import annotations

import re

from live import LiveServer

Route = tuple[str, str]
"""A method and a path with its parameters in braces."""

ADDED = {"HEAD", "OPTIONS"}
"""Methods that every GET, or every route, has without being told."""


def http_routes(server: LiveServer) -> set[Route]:
    """Every HTTP route."""
    return {
        (method, _braced(rule.rule))
        for rule in server.home.app.url_map.iter_rules()
        if not rule.websocket
        for method in (rule.methods or set()) - ADDED
    }


def socket_routes(server: LiveServer) -> set[str]:
    """The path of every WebSocket."""
    return {_braced(rule.rule) for rule in server.home.app.url_map.iter_rules() if rule.websocket}


def _braced(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
