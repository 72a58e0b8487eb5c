"""The Quart application: puts the endpoints together, decides nothing."""

from __future__ import annotations

from pathlib import Path

import structlog
from quart import Quart, Request, Response, Websocket, current_app, render_template, request
from quart.typing import ResponseTypes
from werkzeug.exceptions import HTTPException

from realtime.asgi import Application, Receive, Scope, Send
from realtime.cors import CrossOrigin
from realtime.endpoints.answers import error_answer, retry_headers
from realtime.endpoints.artifacts import artifacts_blueprint
from realtime.endpoints.backend import Backend
from realtime.endpoints.body import BoundedHttp, BoundedRequest
from realtime.endpoints.description import description_blueprint
from realtime.endpoints.documents import documents_blueprint
from realtime.endpoints.events import events_blueprint
from realtime.endpoints.failures import count_failures
from realtime.endpoints.inbound import BoundedWebsocket
from realtime.endpoints.lists import lists_blueprint
from realtime.endpoints.material import material_blueprint
from realtime.endpoints.ops import metrics_blueprint, ops_blueprint
from realtime.endpoints.pages import pages_blueprint
from realtime.endpoints.return_path import sign_in_path
from realtime.endpoints.runs import runs_blueprint
from realtime.endpoints.session import session_blueprint
from realtime.endpoints.socket import socket_blueprint
from realtime.endpoints.static import static_blueprint
from realtime.endpoints.usage import usage_blueprint
from realtime.hardening import Hardened
from realtime.ports import RefusedError
from realtime.proxies import TrustedProxies
from realtime.request_log import RequestLog

_log = structlog.get_logger(__name__)


def create_app(backend: Backend) -> Quart:
    """The application over ``backend``; it starts and stops nothing of its own."""
    app = _new_app()
    app.asgi_websocket_class = BoundedWebsocket
    for blueprint in (
        runs_blueprint,
        usage_blueprint,
        documents_blueprint,
        artifacts_blueprint,
        events_blueprint,
        socket_blueprint,
        session_blueprint,
        pages_blueprint,
        lists_blueprint,
        material_blueprint,
        ops_blueprint,
        description_blueprint,
    ):
        app.register_blueprint(blueprint(backend))
    app.register_blueprint(static_blueprint(Path(app.root_path) / "web" / "static"))
    count_failures(app, backend)
    shared = CrossOrigin(app.asgi_app, backend.origins)
    hardened = Hardened(RequestLog(shared, backend.metrics), https=backend.origins.secure)
    app.asgi_app = TrustedProxies(hardened, backend.settings.trusted_proxies)  # type: ignore[method-assign, assignment]
    return app


def create_metrics_app(backend: Backend) -> Quart:
    """The application that serves nothing but ``/metrics``."""
    app = _new_app()
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.register_blueprint(metrics_blueprint(backend))
    app.asgi_app = Hardened(app.asgi_app)  # type: ignore[method-assign, assignment]
    return app


def _new_app() -> Quart:
    """An application without routes, whose requests are bounded, and whose errors have their one shape."""
    app = _Application("realtime", template_folder="web/templates", static_folder=None)
    app.asgi_app = _Rooted(app.asgi_app)  # type: ignore[method-assign, assignment]
    app.asgi_http_class = BoundedHttp
    app.request_class = BoundedRequest
    app.url_map.merge_slashes = False  # nor redirect, which is a page
    app.register_error_handler(RefusedError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    return app


class _Rooted:
    """An application for which an empty path, as HTTP/2 can carry it, is ``/``: RFC 9110, section 4.2.3."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope.get("path") == "":
            scope["path"] = "/"
        await self._app(scope, receive, send)


class _Application(Quart):
    """Quart, but with an answer to what cannot even be routed, such as an impossible host."""

    async def handle_request(self, request: Request) -> ResponseTypes:
        try:
            return await super().handle_request(request)
        except HTTPException:
            return _unroutable()

    async def handle_websocket(self, websocket: Websocket) -> ResponseTypes | None:
        try:
            return await super().handle_websocket(websocket)
        except HTTPException:
            return _unroutable()


def _unroutable() -> Response:
    return error_answer(RefusedError(400, "BAD_REQUEST", "The host that is asked for cannot be one."))


async def _refuse(error: RefusedError) -> Response:
    """An error as JSON, or as a page where a person asked for one and there are any."""
    for_people = not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")
    if not for_people or "static" not in current_app.blueprints:
        return error_answer(error)
    if error.status == 401:
        return Response(status=303, headers={"Location": sign_in_path(request.full_path.removesuffix("?"))})
    page = await render_template("error.html", status=error.status, code=error.code, message=error.message)
    return Response(page, error.status, retry_headers(error))


_WORDS = {404: "There is nothing at this address.", 405: "This address takes no requests of this kind."}


async def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = (error.name or "error").upper().replace(" ", "_")
    message = _WORDS.get(status) or error.description or code
    response = await _refuse(RefusedError(status, code, message))
    for name, value in error.get_headers():
        if name in {"Allow", "Location", "Retry-After"}:
            response.headers[name] = value
    return response


async def _fail(error: Exception) -> Response:
    _log.error("a request failed", path=request.path, method=request.method, exc_info=error)
    return await _refuse(RefusedError(500, "INTERNAL", "The server failed; the failure was logged."))
