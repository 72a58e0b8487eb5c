"""What agents left behind."""

from __future__ import annotations

from quart import Blueprint, Response

from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import asked_id, enter_project, parse_id
from realtime.endpoints.paging import ARTIFACTS_PER_PAGE
from realtime.material import attachment
from realtime.ports import ArtifactInfo, RefusedError
from realtime.roles import Action
from realtime.tokens import Principal


def artifacts_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/projects/{id}/artifacts``."""
    blueprint = Blueprint("artifacts", __name__, url_prefix="/api/v1/projects/<project_id>/artifacts")

    @blueprint.get("")
    async def list_artifacts(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        run_id, before = asked_id("run_id", "run"), asked_id("before", "artifact")
        listed = await backend.runs.list_artifacts(principal.tenant, project_id, run_id, ARTIFACTS_PER_PAGE, before)
        return answer({"artifacts": listed})

    @blueprint.get("/<artifact_id>")
    async def get_artifact(project_id: str, artifact_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        return answer(await find_artifact(backend, principal, project_id, artifact_id))

    @blueprint.get("/<artifact_id>/download")
    async def download_artifact(project_id: str, artifact_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        artifact = await find_artifact(backend, principal, project_id, artifact_id)
        response = Response(str(artifact.content), content_type="text/plain; charset=utf-8")
        response.headers["Content-Disposition"] = attachment(artifact.title, artifact.content_type)
        return response

    return blueprint


async def find_artifact(backend: Backend, principal: Principal, project_id: str, artifact_id: str) -> ArtifactInfo:
    """The artifact of a project that was entered, with its content.

    Raises:
        RefusedError: 400, the id is none; 404, the project has no such artifact, whoever else may have it.

    """
    artifact = await backend.runs.get_artifact(principal.tenant, project_id, parse_id(artifact_id, "artifact"))
    if artifact is None:
        raise RefusedError(404, "ARTIFACT_NOT_FOUND", "There is no such artifact.")
    return artifact
