"""What agents left behind."""

from __future__ import annotations

from quart import Blueprint, Response, request

from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import enter_project, parse_id
from realtime.ports import RefusedError
from realtime.roles import Action


def artifacts_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/projects/{id}/artifacts``."""
    blueprint = Blueprint("artifacts", __name__, url_prefix="/api/v1/projects/<project_id>/artifacts")

    @blueprint.get("")
    async def list_artifacts(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        run_id = request.args.get("run_id")
        if run_id is not None:
            run_id = parse_id(run_id, "run")
        return answer({"artifacts": await backend.runs.list_artifacts(principal.tenant, project_id, run_id)})

    @blueprint.get("/<artifact_id>")
    async def get_artifact(project_id: str, artifact_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        artifact_id = parse_id(artifact_id, "artifact")
        artifact = await backend.runs.get_artifact(principal.tenant, project_id, artifact_id)
        if artifact is None:
            raise RefusedError(404, "ARTIFACT_NOT_FOUND", "There is no such artifact.")
        return answer(artifact)

    return blueprint
