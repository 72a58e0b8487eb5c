"""What answers and requests consist of where the endpoints have no type of their own for it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from realtime.ports import AgentInfo, ArtifactInfo, DocumentInfo, ProjectInfo
from realtime.snapshot import RunSnapshot


class Agents(msgspec.Struct):
    """The catalogue of agents, in the order of a full pipeline."""

    agents: tuple[AgentInfo, ...]


class Projects(msgspec.Struct):
    """The projects that the caller is a member of, by slug."""

    projects: tuple[ProjectInfo, ...]


class Documents(msgspec.Struct):
    """Documents, each in its newest version."""

    documents: tuple[DocumentInfo, ...]


class DocumentList(Documents):
    """A page of documents by path, and how many the project has in ``total``."""

    total: int


class Runs(msgspec.Struct):
    """A page of runs, newest first."""

    runs: tuple[RunSnapshot, ...]


class Artifacts(msgspec.Struct):
    """Artifacts without their content, newest first."""

    artifacts: tuple[ArtifactInfo, ...]


class Session(msgspec.Struct):
    """Who is signed in, and until when (seconds since the epoch)."""

    tenant: str
    email: str
    expires_at: int


class Health(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Readiness(msgspec.Struct):
    """Whether the server takes new work."""

    status: Literal["ready", "draining", "unavailable"]


FILES: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
    "required": ["file"],
}
"""A form with any number of fields ``file``; the name of each is the document's path."""
