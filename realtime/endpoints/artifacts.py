"""What agents left behind."""

from __future__ import annotations

from quart import Blueprint, Response, request

from realtime.endpoints.answers import answer
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import enter_project, parse_id
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
        return answer({"artifacts": await backend.runs.list_artifacts(principal.tenant, project_id, asked_run())})

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


def asked_run() -> str | None:
    """The run that the current request wants the artifacts of; None: it wants those of all.

    Raises:
        RefusedError: 400, the id is none.

    """
    run_id = request.args.get("run_id")
    return None if run_id is None else parse_id(run_id, "run")


async def find_artifact(backend: Backend, principal: Principal, project_id: str, artifact_id: str) -> ArtifactInfo:
    """The artifact of a project that was entered, with its content.

    Raises:
        RefusedError: 400, the id is none; 404, the project has no such artifact, whoever else may have it.

    """
    artifact = await backend.runs.get_artifact(principal.tenant, project_id, parse_id(artifact_id, "artifact"))
    if artifact is None:
        raise RefusedError(404, "ARTIFACT_NOT_FOUND", "There is no such artifact.")
    return artifact
