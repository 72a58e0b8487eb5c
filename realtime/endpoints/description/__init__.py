"""What this server can do, for programs and for people: OpenAPI, AsyncAPI and a page. Open to everybody."""

from __future__ import annotations

from quart import Blueprint, Response, render_template

from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.description.asyncapi import asyncapi_document
from realtime.endpoints.description.openapi import openapi_document


def description_blueprint(backend: Backend) -> Blueprint:
    """``/openapi.json``, ``/asyncapi.json`` and ``/docs``, which shows the former two."""
    blueprint = Blueprint("description", __name__)
    rest, socket = openapi_document(backend.runs.agents()), asyncapi_document()

    @blueprint.get("/openapi.json")
    async def show_openapi() -> Response:
        return answer(rest)

    @blueprint.get("/asyncapi.json")
    async def show_asyncapi() -> Response:
        return answer(socket)

    @blueprint.get("/docs")
    async def show_page() -> str:
        return await render_template("description.html", rest=rest, socket=socket)

    return blueprint
