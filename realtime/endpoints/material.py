"""What goes into runs and what comes out, for people: artifacts with links to their sources, documents by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
from quart import Blueprint, render_template, request

from realtime.endpoints.artifacts import find_artifact
from realtime.endpoints.backend import Backend
from realtime.endpoints.documents import find_document
from realtime.endpoints.guard import asked_id
from realtime.endpoints.page_frame import PageFrame, enter_page
from realtime.endpoints.page_words import AgentNames, size_text
from realtime.endpoints.paging import ARTIFACTS_PER_PAGE, ListPage
from realtime.material import DocumentPage, Rendered, Sources, document_page, named_in, render
from realtime.ports import ArtifactInfo, DocumentInfo, RefusedError
from realtime.turns import Turns

TITLED_DOCUMENTS = 50
"""The lines of so many documents are the titles of links; links into others have none."""

TITLED_BYTES = 1024 * 1024
"""What these may have together."""


class ArtifactList(msgspec.Struct, frozen=True, kw_only=True):
    """Artifacts by run, the newest run first, those of a run in the order in which they were made.

    ``before``: the id of the last one of the page before, None for the first page; ``last``: of the last one of this
    page, None where the list ends.
    """

    by_run: Sequence[Sequence[ArtifactInfo]]
    before: str | None
    last: str | None


class ShownArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact on its page. ``changed``: documents it names that are newer, so that lines may have moved."""

    artifact: ArtifactInfo
    rendered: Rendered
    changed: Sequence[DocumentInfo]


class Reader:
    """Reads what is kept and makes HTML of it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._turns = Turns()

    async def list_artifacts(self, frame: PageFrame, run_id: str | None, before: str | None = None) -> ArtifactList:
        """Those of that run, or a page of all, from the newest or from the one after ``before`` on."""
        read = await self._backend.runs.list_artifacts(
            frame.principal.tenant, frame.project.id, run_id, ARTIFACTS_PER_PAGE + 1, before
        )
        page = ListPage.of(read, ARTIFACTS_PER_PAGE)
        by_run: dict[str, list[ArtifactInfo]] = {}
        for artifact in page.items:
            by_run.setdefault(run_id or artifact.run_id, []).insert(0, artifact)
        return ArtifactList(
            by_run=[*by_run.values()], before=before, last=None if page.last is None else page.last.id
        )

    async def read_artifact(self, frame: PageFrame, artifact_id: str) -> ShownArtifact:
        """That artifact, with links to the lines of documents that it names.

        Raises:
            RefusedError: as `find_artifact`.

        """
        artifact = await find_artifact(self._backend, frame.principal, frame.project.id, artifact_id)
        documents = await self._backend.runs.list_documents(frame.principal.tenant, frame.project.id)

        def find_sources() -> tuple[Sources, Sequence[DocumentInfo]]:
            sources = Sources(documents)
            return sources, named_in(artifact, sources)

        sources, named = await self._turns.take(find_sources)
        texts = await self._read_texts(frame, named)
        return ShownArtifact(
            artifact=artifact,
            rendered=await self._turns.take(lambda: render(artifact, sources.titled(texts))),
            changed=[document for document in named if document.created_at > artifact.created_at],
        )

    async def read_document(
        self, frame: PageFrame, document_id: str, page: int | None, line: int
    ) -> tuple[DocumentInfo, DocumentPage]:
        """That page of a document, or the one with that line.

        Raises:
            RefusedError: as `find_document`; 404, it has no such page.

        """
        document = await find_document(self._backend, frame.principal, frame.project.id, document_id)
        lines = await self._turns.take(lambda: document_page(document, str(document.content), page, line=line))
        if lines is None:
            raise RefusedError(404, "NOT_FOUND", "The document has no such page.")
        return document, lines

    async def _read_texts(self, frame: PageFrame, documents: Iterable[DocumentInfo]) -> dict[str, str]:
        """The contents of the first of these by path: `TITLED_DOCUMENTS` that have `TITLED_BYTES` together."""
        texts: dict[str, str] = {}
        left = TITLED_BYTES
        for document in islice(documents, TITLED_DOCUMENTS):
            left -= document.size
            if left < 0:
                break
            read = await self._backend.runs.get_document(frame.principal.tenant, frame.project.id, document.id)
            if read is not None:
                texts[read.path] = str(read.content)
        return texts


def material_blueprint(backend: Backend) -> Blueprint:
    """``artifacts``, ``artifacts/{artifact_id}`` and ``documents/{document_id}`` of ``/projects/{id}``."""
    blueprint = Blueprint("material", __name__, url_prefix="/projects/<project_id>")
    reader = Reader(backend)

    @blueprint.get("/artifacts")
    async def list_artifacts(project_id: str) -> str:
        frame = await enter_page(backend, project_id)
        run_id = asked_id("run_id", "run")
        listed = await reader.list_artifacts(frame, run_id, asked_id("before", "artifact"))
        shown = await reader.read_artifact(frame, listed.by_run[0][0].id) if listed.by_run else None
        return await artifacts_page(frame, run_id, listed, shown, addressed=False)

    @blueprint.get("/artifacts/<artifact_id>")
    async def show_artifact(project_id: str, artifact_id: str) -> str:
        frame = await enter_page(backend, project_id)
        asked = asked_id("run_id", "run")
        shown = await reader.read_artifact(frame, artifact_id)
        run_id = asked or shown.artifact.run_id
        return await artifacts_page(frame, run_id, await reader.list_artifacts(frame, run_id), shown, addressed=True)

    async def artifacts_page(
        frame: PageFrame,
        run_id: str | None,
        listed: ArtifactList,
        shown: ShownArtifact | None,
        *,
        addressed: bool,
    ) -> str:
        return await render_template(
            "artifacts.html",
            **frame.context,
            run_id=run_id,
            listed=listed,
            names=AgentNames(backend.runs.agents()),
            addressed=addressed,
            shown=shown,
        )

    @blueprint.get("/documents/<document_id>")
    async def show_document(project_id: str, document_id: str) -> str:
        frame = await enter_page(backend, project_id)
        document, page = await reader.read_document(
            frame, document_id, _asked_number("page"), _asked_number("line") or 1
        )
        return await render_template(
            "document.html", **frame.context, document=document, size=size_text(document.size), page=page
        )

    return blueprint


def _asked_number(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise RefusedError(400, "BAD_REQUEST", f"{name} must be a number from 1 on.")
    return int(text)
