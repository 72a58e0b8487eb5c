"""``/api/v1/ws``: the handshake of the WebSocket protocol ``runcast.v1``; ``connection`` does the rest."""

from __future__ import annotations

from typing import cast

from quart import Blueprint, Response, websocket

from realtime.endpoints.answers import error_answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.connection import Connection
from realtime.endpoints.guard import check_origin, credentials_of
from realtime.frames import SUBPROTOCOL
from realtime.ports import RefusedError


def socket_blueprint(backend: Backend) -> Blueprint:
    """The WebSocket endpoint. A foreign Origin, or a cookie without Origin, is refused with 403 before accept."""
    blueprint = Blueprint("socket", __name__)

    @blueprint.websocket("/api/v1/ws")
    async def connect() -> Response | None:
        credentials = credentials_of(backend, websocket)
        try:
            check_origin(backend, websocket, needed=credentials is not None and credentials.from_cookie)
        except RefusedError as error:
            return error_answer(error)
        offered = websocket.requested_subprotocols
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        for headers in (websocket.headers, cast("list[object]", websocket.scope["headers"])):
            headers.clear()  # 3 KB that nobody will ask for again, however long the connection lasts
        await Connection(backend, websocket, None if credentials is None else credentials.token).run()
        return None

    return blueprint
