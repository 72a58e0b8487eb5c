"""The page for people: rendered by the server, then followed live by its scripts."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import enter_project, find_run_of, identify, parse_id
from realtime.ports import RefusedError
from realtime.roles import Action, may
from realtime.tokens import Principal


def pages_blueprint(backend: Backend) -> Blueprint:
    """``/``, ``/projects/{id}``, ``/projects/{id}/runs/{run_id}``, ``/projects/{id}/artifacts``."""
    blueprint = Blueprint("pages", __name__)

    async def frame(project_id: str) -> tuple[Principal, dict[str, Any]]:
        """Who looks, and what every page of a project shows."""
        principal, project_id, role = await enter_project(backend, project_id, Action.READ)
        projects = await backend.accounts.list_projects(principal.tenant, principal.user_id)
        shown = next((project for project in projects if project.id == project_id), None)
        if shown is None:
            raise RefusedError(403, "FORBIDDEN", "You are no longer a member of this project.")
        return principal, {
            "project": shown,
            "projects": projects,
            "user_email": principal.email,
            "can_start": may(role, Action.START_RUN),
            "can_write": may(role, Action.WRITE_DOCUMENTS),
            "notice": backend.runs.notice,
        }

    async def project_page(project_id: str, run_id: str | None) -> str:
        principal, shared = await frame(project_id)
        project = shared["project"]
        if run_id is not None:
            await find_run_of(backend, principal, project.id, run_id)
        documents = await backend.runs.list_documents(principal.tenant, project.id)
        return await render_template("project.html", **shared, agents=backend.runs.agents(), documents=documents)

    @blueprint.get("/")
    async def home() -> WerkzeugResponse:
        try:
            principal = await identify(backend)
        except RefusedError as refused:
            if refused.status != 401:
                raise
            return redirect("/sign-in", 303)
        projects = await backend.accounts.list_projects(principal.tenant, principal.user_id)
        if not projects:
            raise RefusedError(403, "FORBIDDEN", "You are not a member of any project.")
        return redirect(f"/projects/{projects[0].id}", 303)

    @blueprint.get("/projects/<project_id>")
    async def show_project(project_id: str) -> str:
        return await project_page(project_id, None)

    @blueprint.get("/projects/<project_id>/runs/<run_id>")
    async def show_run(project_id: str, run_id: str) -> str:
        return await project_page(project_id, run_id)

    @blueprint.get("/projects/<project_id>/artifacts")
    async def show_artifacts(project_id: str) -> str:
        principal, shared = await frame(project_id)
        run_id = request.args.get("run_id")
        if run_id is not None:
            run_id = parse_id(run_id, "run")
        artifacts = await backend.runs.list_artifacts(principal.tenant, shared["project"].id, run_id)
        return await render_template("artifacts.html", **shared, artifacts=artifacts)

    return blueprint
