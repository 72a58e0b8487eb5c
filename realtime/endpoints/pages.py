"""The project's page for people: rendered by the server, then followed live by its scripts."""

from __future__ import annotations

from msgspec import to_builtins
from quart import Blueprint, redirect, render_template
from werkzeug.wrappers import Response as WerkzeugResponse

from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import identify
from realtime.endpoints.page_data import read_page
from realtime.endpoints.page_frame import enter_page
from realtime.endpoints.page_words import expected_words, size_text, words_of
from realtime.endpoints.paging import DOCUMENTS_PER_PAGE
from realtime.ports import RefusedError
from realtime.roles import Action


def pages_blueprint(backend: Backend) -> Blueprint:
    """``/``, ``/projects/{id}``, ``/projects/{id}/runs/{run_id}``."""
    blueprint = Blueprint("pages", __name__)

    async def project_page(project_id: str, run_id: str | None) -> str:
        frame = await enter_page(backend, project_id)
        material = await read_page(backend, frame, run_id)
        return await render_template(
            "project.html",
            **frame.context,
            notice=backend.runs.notice,
            can_write=frame.may(Action.WRITE_DOCUMENTS),
            documents=material.documents,
            documents_total=material.documents_total,
            documents_listed=DOCUMENTS_PER_PAGE,
            data=to_builtins(material.data),
            start_expected=expected_words(material.start_expected),
            size_text=size_text,
            words=words_of(material.data),
        )

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

    return blueprint
