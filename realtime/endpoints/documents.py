"""The documents that a project's runs work on."""

from __future__ import annotations

import msgspec
from quart import Blueprint, Response, request

from realtime.endpoints.answers import answer, read_body, read_limit
from realtime.endpoints.backend import Backend
from realtime.endpoints.body import at_end_of_request, permit_body
from realtime.endpoints.guard import enter_project, parse_id
from realtime.ports import DocumentInfo, RefusedError
from realtime.roles import Action
from realtime.tokens import Principal

MAX_UPLOAD_BYTES = 32 * 1024 * 1024
"""The body of one request: a form with all its documents and what is around them, or one document as JSON."""


class Upload(msgspec.Struct, forbid_unknown_fields=True):
    """One document: its path inside the project, and its text."""

    path: str
    content: str


def documents_blueprint(backend: Backend) -> Blueprint:
    """``/api/v1/projects/{id}/documents``."""
    blueprint = Blueprint("documents", __name__, url_prefix="/api/v1/projects/<project_id>/documents")

    @blueprint.get("")
    async def list_documents(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        limit = read_limit() if "limit" in request.args else None
        after = request.args.get("after", "")
        listed = await backend.runs.list_documents(principal.tenant, project_id, limit, after)
        return answer(
            {"documents": listed, "total": await backend.runs.count_documents(principal.tenant, project_id)}
        )

    @blueprint.post("")
    async def add_documents(project_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.WRITE_DOCUMENTS)
        at_end_of_request(backend.quotas.upload(principal))
        permit_body(MAX_UPLOAD_BYTES)
        uploaded = await _read_upload()
        with backend.quotas.telling():
            kept = await backend.runs.add_documents(principal.tenant, project_id, uploaded, principal.user_id)
        return answer({"documents": kept}, 201)

    @blueprint.get("/<document_id>")
    async def get_document(project_id: str, document_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.READ)
        return answer(await find_document(backend, principal, project_id, document_id))

    @blueprint.delete("/<document_id>")
    async def delete_document(project_id: str, document_id: str) -> Response:
        principal, project_id, _ = await enter_project(backend, project_id, Action.WRITE_DOCUMENTS)
        document_id = parse_id(document_id, "document")
        if not await backend.runs.delete_document(principal.tenant, project_id, document_id):
            raise _not_found()
        return Response(status=204)

    return blueprint


async def find_document(backend: Backend, principal: Principal, project_id: str, document_id: str) -> DocumentInfo:
    """The document of a project that was entered, with its content.

    Raises:
        RefusedError: 400, the id is none; 404, the project has no such document, whoever else may have it.

    """
    document = await backend.runs.get_document(principal.tenant, project_id, parse_id(document_id, "document"))
    if document is None:
        raise _not_found()
    return document


def _not_found() -> RefusedError:
    return RefusedError(404, "DOCUMENT_NOT_FOUND", "There is no such document.")


async def _read_upload() -> list[tuple[str, bytes]]:
    """What was sent: files of a form (fields named ``file``), or one document as JSON."""
    if request.mimetype != "multipart/form-data":
        upload = await read_body(Upload)
        return [(upload.path, upload.content.encode())]
    files = (await request.files).getlist("file")
    if not files:
        raise RefusedError(400, "BAD_REQUEST", "The form has no field called file with a file in it.")
    return [(file.filename or "", file.read()) for file in files]
