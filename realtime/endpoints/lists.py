"""All documents and all runs of a project, for people: plain lists that the server draws a page at a time."""

from __future__ import annotations

from quart import Blueprint, render_template, request

from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import asked_id
from realtime.endpoints.page_frame import enter_page
from realtime.endpoints.page_words import AgentNames, row_words, size_text
from realtime.endpoints.paging import DOCUMENTS_PER_PAGE, RUNS_PER_PAGE, ListPage
from realtime.snapshot import summarise


def lists_blueprint(backend: Backend) -> Blueprint:
    """``documents`` and ``runs`` of ``/projects/{id}``."""
    blueprint = Blueprint("lists", __name__, url_prefix="/projects/<project_id>")

    @blueprint.get("/documents")
    async def list_documents(project_id: str) -> str:
        frame = await enter_page(backend, project_id)
        tenant, project_id = frame.principal.tenant, frame.project.id
        after = request.args.get("after", "")
        read = await backend.runs.list_documents(tenant, project_id, DOCUMENTS_PER_PAGE + 1, after)
        return await render_template(
            "documents.html",
            **frame.context,
            after=after,
            page=ListPage.of(read, DOCUMENTS_PER_PAGE),
            total=await backend.runs.count_documents(tenant, project_id),
            size_text=size_text,
        )

    @blueprint.get("/runs")
    async def list_runs(project_id: str) -> str:
        frame = await enter_page(backend, project_id)
        before = asked_id("before", "run")
        read = await backend.runs.list_runs(frame.principal.tenant, frame.project.id, RUNS_PER_PAGE + 1, before)
        page = ListPage.of(read, RUNS_PER_PAGE)
        names = AgentNames(backend.runs.agents())
        return await render_template(
            "runs.html",
            **frame.context,
            before=before,
            page=page,
            rows=[row_words(summarise(run), names) for run in page.items],
        )

    return blueprint
