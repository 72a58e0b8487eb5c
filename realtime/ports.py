"""What delivery needs from outside, as protocols, and the records that pass through them.

Times are RFC 3339 text in UTC with milliseconds and a ``Z``. Every function is keyed by tenant; none returns anything
of another tenant. Each answers whole or raises; being cancelled leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from realtime.events import Event, RunKey
from realtime.snapshot import RunSnapshot


class RefusedError(Exception):
    """A request cannot be done as asked: ``status`` is that of HTTP, ``code`` stable, ``message`` for people.

    ``retry_after_s``: asking again is worth it, but not before that.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class UnavailableError(RefusedError):
    """What is kept cannot be read or written right now; asked again a little later, it may be."""

    def __init__(self) -> None:
        super().__init__(503, "UNAVAILABLE", "The server cannot reach its database right now.", retry_after_s=2.0)


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One agent that can be selected."""

    agent_type: str
    name: str
    needs: str
    gives: str


class ProjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A project as one of its members sees it."""

    id: str
    slug: str
    name: str
    role: str


class DocumentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a document; ``size`` in bytes. ``content`` is left out of lists."""

    id: str
    project_id: str
    path: str
    version: int
    size: int
    created_at: str
    content: str | msgspec.UnsetType = msgspec.UNSET


class ArtifactInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent left behind in a run; ``content`` is left out of lists."""

    id: str
    run_id: str
    agent_type: str
    title: str
    artifact_type: str
    content_type: str
    created_at: str
    content: str | msgspec.UnsetType = msgspec.UNSET


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks to be run; ``run_id`` (a UUID) makes asking twice the same as asking once."""

    agents_selected: tuple[str, ...]
    pipeline_mode: str = "sequential"
    run_id: str | None = None
    use_cache: bool = True


class UsageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that a tenant has ``spent`` on language models in ``month`` (UTC, as ``2026-11``).

    Those that calls under way have put aside are ``reserved``. ``limit`` and ``remaining`` None: there is no limit.
    ``warning``: most of it is spent. With ``resets_at`` the next month begins.
    """

    month: str
    limit: int | None
    spent: int
    reserved: int
    remaining: int | None
    warning: bool
    resets_at: str


class RunService(Protocol):
    """Runs, and the documents and artifacts around them.

    Raises:
        UnavailableError: by every function that waits: the store cannot be used now. Nothing was changed, or, where
            that cannot be known, asking again is safe.

    """

    @property
    def notice(self) -> str | None:
        """What everybody who starts a run should know, for example that the model is paced; or None."""
        ...

    def agents(self) -> Sequence[AgentInfo]:
        """The catalogue, in the order of a full pipeline."""
        ...

    async def is_available(self) -> bool:
        """True where what is kept can be read now. Answers within a second or two."""
        ...

    async def start_run(self, tenant: str, project_id: str, request: RunRequest, started_by: str) -> RunSnapshot:
        """Accept a run; it starts by itself.

        Raises:
            RefusedError: it cannot be accepted.

        """
        ...

    async def cancel_run(self, key: RunKey, cancelled_by: str) -> RunSnapshot:
        """End the run, whichever server works on it, and have that work stopped; the run as it ended, also long ago.

        Raises:
            RefusedError: this tenant has no such run.

        """
        ...

    async def retry_run(self, key: RunKey, retry_id: str | None, started_by: str) -> RunSnapshot:
        """Accept a run that does again what that run did not complete; it starts by itself.

        ``retry_id`` (a UUID) becomes its id, and makes asking twice the same as asking once.

        Raises:
            RefusedError: this tenant has no such run, it did not fail, or a new run cannot be accepted.

        """
        ...

    async def get_run(self, key: RunKey) -> RunSnapshot | None:
        """The run, read in one read snapshot; None: this tenant has no such run."""
        ...

    async def list_runs(self, tenant: str, project_id: str, limit: int, before: str | None) -> Sequence[RunSnapshot]:
        """Runs of a project, newest first; ``before`` is the last run id of the page before."""
        ...

    async def newest_heads(self, tenant: str, project_ids: Sequence[str], limit: int) -> dict[str, dict[str, int]]:
        """Of each of these projects that has runs, the newest ``limit`` with their newest event ids."""
        ...

    async def past_durations(
        self, tenant: str, project_id: str, agents_selected: Sequence[str], pipeline_mode: str
    ) -> Sequence[float]:
        """Seconds that the newest completed runs, 20 at most, of these agents in this order and mode took, newest
        first; without those of which a part was reused or answered from the cache.

        Raises:
            RefusedError: no run of these agents and this mode can be started.

        """
        ...

    async def usage(self, tenant: str) -> UsageInfo:
        """What the tenant has spent on language models in this month, and what is left."""
        ...

    async def list_documents(
        self, tenant: str, project_id: str, limit: int | None = None, after: str = ""
    ) -> Sequence[DocumentInfo]:
        """The project's documents by path: ``limit`` of them, or all, of those whose path comes after ``after``."""
        ...

    async def count_documents(self, tenant: str, project_id: str) -> int:
        """How many documents the project has."""
        ...

    async def add_documents(
        self, tenant: str, project_id: str, documents: Sequence[tuple[str, bytes]], added_by: str
    ) -> Sequence[DocumentInfo]:
        """Keep documents, each a path and its content; the same path again makes a new version.

        Raises:
            RefusedError: one is no text or under no path that can be kept, or there is no room for all; none is kept.

        """
        ...

    async def get_document(self, tenant: str, project_id: str, document_id: str) -> DocumentInfo | None:
        """One document with its content; None: the project has no such document."""
        ...

    async def delete_document(self, tenant: str, project_id: str, document_id: str) -> bool:
        """Remove a document. False: there was none."""
        ...

    async def list_artifacts(
        self, tenant: str, project_id: str, run_id: str | None, limit: int, before: str | None = None
    ) -> Sequence[ArtifactInfo]:
        """Artifacts of one run, or of all, newest run first, without content; ``before``: the last id of a page."""
        ...

    async def get_artifact(self, tenant: str, project_id: str, artifact_id: str) -> ArtifactInfo | None:
        """One artifact with its content."""
        ...


class Ack(msgspec.Struct, frozen=True):
    """A viewer has handled a run up to ``event_id``. Kept per (tenant, run, user, client)."""

    key: RunKey
    user_id: str
    client_id: str
    event_id: int


class EventLog(Protocol):
    """The run logs, for reading, and how far each viewer says it has come."""

    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        """Up to ``limit`` events with ids above ``after``, in order; empty: there is nothing after it now."""
        ...

    async def heads(self, keys: Iterable[RunKey]) -> dict[RunKey, int]:
        """The newest event id of each of these runs that exists."""
        ...

    async def get_ack(self, key: RunKey, user_id: str, client_id: str) -> int | None:
        """The event id last kept for that viewer."""
        ...

    async def save_acks(self, acks: Sequence[Ack]) -> None:
        """Keep them; one below what is kept changes nothing. A user keeps the newest 16 clients of a run."""
        ...


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person of one tenant."""

    tenant: str
    id: str
    email: str


class Membership(NamedTuple):
    """A user in a project."""

    tenant: str
    project_id: str
    user_id: str


class Accounts(Protocol):
    """Who there is, and what they may do where. Raises `UnavailableError` as `RunService` does."""

    async def get_role(self, tenant: str, project_id: str, user_id: str) -> str | None:
        """The user's role in the project; None: not a member, or no such project."""
        ...

    async def roles(self, memberships: Collection[Membership]) -> dict[Membership, str]:
        """The role of each of these that is one; in one question, however many they are."""
        ...

    async def find_user(self, tenant: str, email: str) -> User | None:
        """The tenant's user of that address; case does not distinguish addresses."""
        ...

    async def has_project(self, tenant: str, project_id: str) -> bool:
        """True where the tenant has that project, whoever asks."""
        ...

    async def list_projects(self, tenant: str, user_id: str) -> Sequence[ProjectInfo]:
        """The projects the user is a member of, by slug."""
        ...

    async def add_code(self, code_hash: str, user: User, ttl_s: int) -> None:
        """Keep a one-time sign-in code, by its hash, for ``ttl_s`` seconds."""
        ...

    async def spend_code(self, code_hash: str) -> User | None:
        """The user of an unspent, unexpired code; it is spent by this, whoever asks second gets None."""
        ...
