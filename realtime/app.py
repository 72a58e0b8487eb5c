"""The Quart application: puts the endpoints together, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from quart import Quart, Request, Response, render_template, request
from werkzeug.exceptions import HTTPException

from realtime.endpoints.answers import error_answer
from realtime.endpoints.artifacts import artifacts_blueprint
from realtime.endpoints.backend import Backend
from realtime.endpoints.documents import documents_blueprint
from realtime.endpoints.events import events_blueprint
from realtime.endpoints.inbound import BoundedWebsocket
from realtime.endpoints.ops import ops_blueprint
from realtime.endpoints.pages import pages_blueprint
from realtime.endpoints.runs import runs_blueprint
from realtime.endpoints.session import session_blueprint
from realtime.endpoints.socket import socket_blueprint
from realtime.endpoints.static import static_blueprint
from realtime.ports import RefusedError

_log = structlog.get_logger(__name__)

MAX_REQUEST_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 32 * 1024 * 1024
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def create_app(backend: Backend) -> Quart:
    """The application over ``backend``; it starts and stops nothing of its own."""
    app = Quart("realtime", template_folder="web/templates", static_folder=None)
    app.asgi_websocket_class = BoundedWebsocket
    app.request_class = BoundedRequest
    for blueprint in (
        runs_blueprint,
        documents_blueprint,
        artifacts_blueprint,
        events_blueprint,
        socket_blueprint,
        session_blueprint,
        pages_blueprint,
        ops_blueprint,
    ):
        app.register_blueprint(blueprint(backend))
    app.register_blueprint(static_blueprint(Path(app.root_path) / "web" / "static"))
    app.register_error_handler(RefusedError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.after_request(_harden)
    return app


class BoundedRequest(Request):
    """A request whose body may be large only where documents are uploaded."""

    def __init__(self, method: str, scheme: str, path: str, *rest: Any, **options: Any) -> None:
        options["max_content_length"] = MAX_REQUEST_BYTES
        if path.endswith("/documents"):
            options["max_content_length"] = MAX_UPLOAD_BYTES
        super().__init__(method, scheme, path, *rest, **options)


async def _refuse(error: RefusedError) -> Response:
    """An error as JSON, or as a page where a person asked for one."""
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return error_answer(error)
    if error.status == 401:
        return Response(status=303, headers={"Location": "/sign-in"})
    page = await render_template("error.html", status=error.status, code=error.code, message=error.message)
    return Response(page, error.status)


async def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = (error.name or "error").upper().replace(" ", "_")
    response = await _refuse(RefusedError(status, code, error.description or code))
    for name, value in error.get_headers():
        if name in {"Allow", "Location", "Retry-After"}:
            response.headers[name] = value
    return response


async def _fail(error: Exception) -> Response:
    _log.error("a request failed", path=request.path, method=request.method, exc_info=error)
    return await _refuse(RefusedError(500, "INTERNAL", "The server failed; the failure was logged."))


async def _harden(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # Not no-referrer: with that, browsers send "Origin: null" with our own forms.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    if response.mimetype == "text/html":
        headers.setdefault("Cache-Control", "no-store")
    return response
