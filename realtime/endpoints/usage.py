"""What the caller's tenant has spent on language models."""

from __future__ import annotations

from quart import Blueprint, Response

from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import identify


def usage_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/usage``."""
    blueprint = Blueprint("usage", __name__, url_prefix="/api/v1")

    @blueprint.get("/usage")
    async def get_usage() -> Response:
        principal = await identify(backend)
        return answer(await backend.runs.usage(principal.tenant))

    return blueprint
