"""What goes into runs and what comes out, for people: artifacts with links to their sources, documents by line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
from quart import Blueprint, render_template, request

from realtime.endpoints.artifacts import asked_run, find_artifact
from realtime.endpoints.backend import Backend
from realtime.endpoints.documents import find_document
from realtime.endpoints.page_frame import PageFrame, enter_page
from realtime.endpoints.page_words import AgentNames, size_text
from realtime.material import DocumentPage, Rendered, Sources, document_page, render
from realtime.ports import ArtifactInfo, DocumentInfo, RefusedError

TITLED_BYTES = 1024 * 1024
"""The documents whose lines are the titles of links may have so much together; links into others have none."""

Made = TypeVar("Made")


class ShownArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact on its page. ``changed``: documents it names that are newer, so that lines may have moved."""

    artifact: ArtifactInfo
    rendered: Rendered
    changed: Sequence[DocumentInfo]


class Reader:
    """Reads what is kept and makes HTML of it, one text at a time beside the event loop, where it holds up nobody."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._turn = asyncio.Lock()

    async def list_artifacts(self, frame: PageFrame, run_id: str | None) -> list[list[ArtifactInfo]]:
        """The artifacts of each run, the newest run first, those of a run in the order in which they were made."""
        listed = await self._backend.runs.list_artifacts(frame.principal.tenant, frame.project.id, run_id)
        by_run: dict[str, list[ArtifactInfo]] = {}
        for artifact in listed:
            by_run.setdefault(run_id or artifact.run_id, []).insert(0, artifact)
        return list(by_run.values())

    async def read_artifact(self, frame: PageFrame, artifact_id: str) -> ShownArtifact:
        """That artifact, with links to the lines of documents that it names.

        Raises:
            RefusedError: as `find_artifact`.

        """
        artifact = await find_artifact(self._backend, frame.principal, frame.project.id, artifact_id)
        documents = await self._backend.runs.list_documents(frame.principal.tenant, frame.project.id)
        named = await self._make(lambda: Sources(documents).named_in(str(artifact.content)))
        texts = await self._read_texts(frame, named)
        return ShownArtifact(
            artifact=artifact,
            rendered=await self._make(lambda: render(artifact, Sources(documents, texts))),
            changed=[document for document in named if document.created_at > artifact.created_at],
        )

    async def read_document(self, frame: PageFrame, document_id: str, page: int) -> tuple[DocumentInfo, DocumentPage]:
        """That page of a document.

        Raises:
            RefusedError: as `find_document`; 404, it has no such page.

        """
        document = await find_document(self._backend, frame.principal, frame.project.id, document_id)
        lines = await self._make(lambda: document_page(document, str(document.content), page))
        if lines is None:
            raise RefusedError(404, "NOT_FOUND", "The document has no such page.")
        return document, lines

    async def _read_texts(self, frame: PageFrame, documents: Iterable[DocumentInfo]) -> dict[str, str]:
        """The contents of the first of these by path, `TITLED_BYTES` together."""
        texts: dict[str, str] = {}
        left = TITLED_BYTES
        for document in documents:
            left -= document.size
            if left < 0:
                break
            read = await self._backend.runs.get_document(frame.principal.tenant, frame.project.id, document.id)
            if read is not None:
                texts[read.path] = str(read.content)
        return texts

    async def _make(self, work: Callable[[], Made]) -> Made:
        async with self._turn:
            return await asyncio.to_thread(work)


def material_blueprint(backend: Backend) -> Blueprint:
    """``artifacts``, ``artifacts/{artifact_id}`` and ``documents/{document_id}`` of ``/projects/{id}``."""
    blueprint = Blueprint("material", __name__, url_prefix="/projects/<project_id>")
    reader = Reader(backend)

    async def artifacts_page(project_id: str, artifact_id: str | None) -> str:
        frame = await enter_page(backend, project_id)
        run_id = asked_run()
        groups = await reader.list_artifacts(frame, run_id)
        wanted = artifact_id or (groups[0][0].id if groups else None)
        return await render_template(
            "artifacts.html",
            **frame.context,
            run_id=run_id,
            groups=groups,
            names=AgentNames(backend.runs.agents()),
            addressed=artifact_id is not None,
            shown=None if wanted is None else await reader.read_artifact(frame, wanted),
        )

    @blueprint.get("/artifacts")
    async def list_artifacts(project_id: str) -> str:
        return await artifacts_page(project_id, None)

    @blueprint.get("/artifacts/<artifact_id>")
    async def show_artifact(project_id: str, artifact_id: str) -> str:
        return await artifacts_page(project_id, artifact_id)

    @blueprint.get("/documents/<document_id>")
    async def show_document(project_id: str, document_id: str) -> str:
        frame = await enter_page(backend, project_id)
        document, page = await reader.read_document(frame, document_id, _asked_page())
        return await render_template(
            "document.html", **frame.context, document=document, size=size_text(document.size), page=page
        )

    return blueprint


def _asked_page() -> int:
    text = request.args.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise RefusedError(400, "BAD_REQUEST", "page must be a number from 1 on.")
    return int(text)
