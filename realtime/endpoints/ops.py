"""What whoever runs the server asks it."""

from __future__ import annotations

from quart import Blueprint, Response

from realtime import __version__
from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.metrics import CONTENT_TYPE


def ops_blueprint(backend: Backend) -> Blueprint:
    """``/healthz``: the process answers. ``/readyz``: it takes new work; 503 while it drains or lacks its store."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    async def healthz() -> Response:
        return answer({"status": "ok", "version": __version__})

    @blueprint.get("/readyz")
    async def readyz() -> Response:
        if backend.broadcaster.draining:
            return answer({"status": "draining"}, 503)
        if not await backend.readiness.is_available():
            return answer({"status": "unavailable"}, 503)
        return answer({"status": "ready"})

    return blueprint


def metrics_blueprint(backend: Backend) -> Blueprint:
    """``/metrics``, as of now, for Prometheus."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    async def metrics() -> Response:
        await backend.readiness.is_available()
        return Response(backend.metrics.render(), content_type=CONTENT_TYPE)

    return blueprint
