"""What whoever runs the server asks it."""

from __future__ import annotations

from quart import Blueprint, Response

from realtime import __version__
from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend


def ops_blueprint(backend: Backend) -> Blueprint:
    """``/healthz``: the process answers. ``/readyz``: it takes new work; 503 while it drains."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    async def healthz() -> Response:
        return answer({"status": "ok", "version": __version__})

    @blueprint.get("/readyz")
    async def readyz() -> Response:
        draining = backend.broadcaster.draining
        return answer({"status": "draining" if draining else "ready"}, 503 if draining else 200)

    return blueprint
