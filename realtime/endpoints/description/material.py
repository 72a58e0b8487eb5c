"""The operations on what goes into runs and what comes out: documents and artifacts."""

from __future__ import annotations

from realtime.endpoints.description.bodies import FILES, Artifacts, DocumentList, Documents
from realtime.endpoints.description.operation import (
    BODY_ERRORS,
    JSON,
    OF_PROJECT,
    PROJECT_ERRORS,
    UUID,
    Answer,
    Operation,
    Parameter,
)
from realtime.endpoints.documents import Upload
from realtime.ports import ArtifactInfo, DocumentInfo
from realtime.roles import Action

MATERIAL: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/documents",
        name="listDocuments",
        group="documents",
        summary="The project's documents",
        action=Action.READ,
        parameters=(
            Parameter(
                "limit", "query", "How many; all, if absent.", {"type": "integer", "minimum": 1, "maximum": 200}
            ),
            Parameter("after", "query", "The last path of the page before.", {"type": "string"}),
        ),
        answers={200: Answer("By path, without content.", DocumentList)},
        errors=(*PROJECT_ERRORS, "BAD_REQUEST"),
    ),
    Operation(
        method="POST",
        path=f"{OF_PROJECT}/documents",
        name="addDocuments",
        group="documents",
        summary="Add documents, or new versions of them",
        more="One document as JSON, or any number of files as a form. All of a request are kept, or none. The same "
        "path again is a new version. At most 5 MB each, 32 MB together.",
        action=Action.WRITE_DOCUMENTS,
        bodies={JSON: Upload, "multipart/form-data": FILES},
        answers={201: Answer("What is kept now.", Documents)},
        errors=(*PROJECT_ERRORS, *BODY_ERRORS, "INVALID_DOCUMENT", "DOCUMENT_TOO_LARGE", "PROJECT_TOO_LARGE"),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/documents/{{document_id}}",
        name="getDocument",
        group="documents",
        summary="One document with its content",
        action=Action.READ,
        answers={200: Answer("Its newest version.", DocumentInfo)},
        errors=(*PROJECT_ERRORS, "DOCUMENT_NOT_FOUND"),
    ),
    Operation(
        method="DELETE",
        path=f"{OF_PROJECT}/documents/{{document_id}}",
        name="deleteDocument",
        group="documents",
        summary="Remove a document",
        action=Action.WRITE_DOCUMENTS,
        answers={204: Answer("It is gone.")},
        errors=(*PROJECT_ERRORS, "DOCUMENT_NOT_FOUND"),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/artifacts",
        name="listArtifacts",
        group="artifacts",
        summary="What agents left behind",
        action=Action.READ,
        parameters=(
            Parameter("run_id", "query", "Only those of this run.", UUID),
            Parameter("before", "query", "The last artifact id of the page before, of all runs.", UUID),
        ),
        answers={200: Answer("200 at most, those of the newest run first, without content.", Artifacts)},
        errors=PROJECT_ERRORS,
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/artifacts/{{artifact_id}}",
        name="getArtifact",
        group="artifacts",
        summary="One artifact with its content",
        action=Action.READ,
        answers={200: Answer("The artifact.", ArtifactInfo)},
        errors=(*PROJECT_ERRORS, "ARTIFACT_NOT_FOUND"),
    ),
    Operation(
        method="GET",
        path=f"{OF_PROJECT}/artifacts/{{artifact_id}}/download",
        name="downloadArtifact",
        group="artifacts",
        summary="One artifact as a file",
        more="Its content as it is, under a name made of its title. Browsers save it and never show it.",
        action=Action.READ,
        answers={
            200: Answer(
                "The content, in UTF-8.",
                {"type": "string"},
                "text/plain",
                headers={"Content-Disposition": "attachment, with a file name."},
            )
        },
        errors=(*PROJECT_ERRORS, "ARTIFACT_NOT_FOUND"),
    ),
)
