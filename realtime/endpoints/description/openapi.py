"""The table of operations as an OpenAPI 3.1 document: https://spec.openapis.org/oas/v3.1.1.html."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from realtime import __version__
from realtime.endpoints.description.operation import ERRORS, JSON, UUID, Answer, Operation
from realtime.endpoints.description.operations import OPERATIONS
from realtime.endpoints.description.schemas import schemas_of
from realtime.endpoints.runs import StartRun
from realtime.ports import AgentInfo
from realtime.roles import PERMISSIONS, Role
from realtime.tokens import COOKIE

ABOUT = (
    "Runs of AI agents over a project's documents, and everything that happens in them, live. Whoever watches a run "
    "holds a cursor into its log: live delivery, late joining and resuming are the same. For WebSocket see "
    '`/asyncapi.json`. Every error is `{"error": CODE, "message": text}`; the code is stable, the text is for people.'
)

SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What opening a session sets. Whatever changes something must also bring our own Origin.",
    },
}

_ALWAYS = ("INTERNAL",)
_IDENTIFIED = ("NOT_AUTHENTICATED", "FORBIDDEN", "TOO_MANY", "UNAVAILABLE")
_COMES_BACK = {429, 503}


def openapi_document(agents: Sequence[AgentInfo]) -> dict[str, Any]:
    """The whole document, of JSON values; ``agents`` are those that a run can select."""
    kinds = [kind for operation in OPERATIONS for kind in _structs(operation)]
    references, components = schemas_of(kinds)
    schemas = dict(zip(kinds, references, strict=True))
    _describe_selection(components[StartRun.__name__], agents)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        path = paths.setdefault(operation.path, _path_item(operation.path))
        path[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Runcast", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SECURITY_SCHEMES},
    }


def _describe_selection(start_run: dict[str, Any], agents: Sequence[AgentInfo]) -> None:
    """The struct lets any selection through, because a wrong one has refusals of its own; here is which is right."""
    known = {"enum": [agent.agent_type for agent in agents]}
    selection = {"type": "array", "items": known, "minItems": 1, "uniqueItems": True}
    start_run["properties"]["agents_selected"] = selection
    start_run["required"] = ["agents_selected"]


def error_codes(operation: Operation) -> list[str]:
    """Every code that the operation can be refused with, by status."""
    codes = {*operation.errors, *_ALWAYS, *(_IDENTIFIED if operation.identity else ())}
    return sorted(codes, key=lambda code: (ERRORS[code][0], code))


def roles_of(operation: Operation) -> list[Role]:
    """Who may, where a role is asked for; in the order of `Role`."""
    return [] if operation.action is None else [role for role in Role if role in PERMISSIONS[operation.action]]


def _structs(operation: Operation) -> list[type[msgspec.Struct]]:
    bodies = [*operation.bodies.values(), *(answer.body for answer in operation.answers.values())]
    return [body for body in bodies if isinstance(body, type)]


def _path_item(path: str) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    described = [{"name": name, "in": "path", "required": True, "schema": UUID} for name in names]
    return {"parameters": described} if described else {}


def _operation(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "security": [{name: []} for name in SECURITY_SCHEMES] if operation.identity else [],
        "responses": {
            **{str(status): _answer(answer, schemas) for status, answer in operation.answers.items()},
            **_refusals(operation),
        },
    }
    if operation.more:
        described["description"] = operation.more
    if operation.action is not None:
        described["x-roles"] = roles_of(operation)
    if operation.parameters:
        described["parameters"] = [
            {"name": one.name, "in": one.place, "description": one.meaning, "schema": one.schema}
            for one in operation.parameters
        ]
    if operation.bodies:
        content = {kind: {"schema": _schema(body, schemas)} for kind, body in operation.bodies.items()}
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    return described


def _schema(body: Any, schemas: dict[Any, Any]) -> Any:
    return schemas[body] if isinstance(body, type) else body


def _answer(answer: Answer, schemas: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.meaning}
    if answer.body is not None:
        described["content"] = {answer.content_type: {"schema": _schema(answer.body, schemas)}}
    if answer.headers:
        described["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in answer.headers.items()
        }
    return described


def _refusals(operation: Operation) -> dict[str, Any]:
    """Answers that are errors: one per status, with the codes it can have; an answer of that status goes first."""
    described: dict[str, Any] = {}
    codes = [code for code in error_codes(operation) if ERRORS[code][0] not in operation.answers]
    for status, group in groupby(codes, key=lambda code: ERRORS[code][0]):
        known = list(group)
        described[str(status)] = {
            "description": "\n".join(f"`{code}`: {ERRORS[code][1]}." for code in known),
            "content": {JSON: {"schema": _error_schema(known)}},
        }
        if status in _COMES_BACK:
            seconds = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}
            described[str(status)]["headers"] = {"Retry-After": seconds}
    return described


def _error_schema(codes: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"error": {"enum": codes}, "message": {"type": "string"}},
        "required": ["error", "message"],
        "additionalProperties": False,
    }
