"""What is said of an operation, and the error codes that there are. Nothing here checks a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from realtime.roles import Action

JSON = "application/json"
UUID = {"type": "string", "format": "uuid"}
OF_PROJECT = "/api/v1/projects/{project_id}"

ERRORS: dict[str, tuple[int, str]] = {
    "BAD_REQUEST": (400, "a body or a parameter is not as expected; the message says where"),
    "INVALID_ID": (400, "an id is no UUID"),
    "NO_AGENTS_SELECTED": (400, "a run needs at least one agent"),
    "INVALID_AGENT_TYPE": (400, "the catalogue has no such agent"),
    "DUPLICATE_AGENT": (400, "an agent is selected twice"),
    "INVALID_PIPELINE_MODE": (400, "there is no such pipeline mode"),
    "NO_DOCUMENTS": (400, "the project has no documents to work on"),
    "INVALID_DOCUMENT": (400, "a document is empty, no UTF-8 text, or its path is no plain relative one"),
    "NOT_AUTHENTICATED": (401, "no token, or one that is not valid here"),
    "BUDGET_EXCEEDED": (402, "the tenant's tokens for the month are used up"),
    "FORBIDDEN": (403, "the role in the project does not allow it, or the Origin is foreign"),
    "PROJECT_NOT_FOUND": (404, "there is no such project"),
    "RUN_NOT_FOUND": (404, "there is no such run"),
    "DOCUMENT_NOT_FOUND": (404, "there is no such document"),
    "ARTIFACT_NOT_FOUND": (404, "there is no such artifact"),
    "NOT_FOUND": (404, "there is nothing under this address"),
    "METHOD_NOT_ALLOWED": (405, "this address does not take the method"),
    "RUN_ID_CONFLICT": (409, "the run id is taken by a run with another body or project"),
    "NOT_RETRIABLE": (409, "the run has not ended, or it succeeded"),
    "DOCUMENT_TOO_LARGE": (413, "a document has more than 5 MB"),
    "PROJECT_TOO_LARGE": (413, "the documents of the project would have more than 64 MB together"),
    "REQUEST_ENTITY_TOO_LARGE": (413, "the whole request is larger than any may be"),
    "TOO_MANY": (429, "a limit or quota is used up; Retry-After says when to ask again"),
    "INTERNAL": (500, "the server failed; the failure was logged"),
    "UNAVAILABLE": (503, "the server cannot reach its database right now; Retry-After says when to ask again"),
}
"""Status and meaning of each error code."""

PROJECT_ERRORS = ("INVALID_ID", "PROJECT_NOT_FOUND")
"""What every operation inside a project can be refused with."""
BODY_ERRORS = ("BAD_REQUEST", "REQUEST_ENTITY_TOO_LARGE")
"""What every operation that takes a body can be refused with."""


@dataclass(frozen=True)
class Parameter:
    """One parameter in the query or the headers; always optional."""

    name: str
    place: Literal["query", "header"]
    meaning: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer that is no error; ``body`` None: it has none."""

    meaning: str
    body: Any = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path. ``bodies`` by content type: a struct, or a schema as it is."""

    method: str
    path: str
    name: str
    group: str
    summary: str
    answers: dict[int, Answer]
    errors: tuple[str, ...] = ()
    more: str = ""
    action: Action | None = None
    """What the caller must be allowed to do in the project; None: no role is asked for."""
    identity: bool = True
    """Whether the caller must be somebody."""
    parameters: tuple[Parameter, ...] = ()
    bodies: dict[str, Any] = field(default_factory=dict)
    needs_body: bool = True
