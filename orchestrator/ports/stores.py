"""Where runs and documents are kept. Every function is one unit of work, as `orchestrator.ports` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from orchestrator.events import Fact
from orchestrator.records import (
    NO_QUOTA,
    Artifact,
    Claim,
    Document,
    NewRun,
    Quota,
    RunRecord,
    SavedEvent,
    Written,
)

LEASE_S = 10.0
"""How long a claim lasts that nobody renews."""


class RunStore(Protocol):
    """The runs of all tenants: rows and logs."""

    async def accept_run(self, tenant: str, run: NewRun, quota: Quota = NO_QUOTA) -> Written:
        """Insert the run, its steps and its ``queued`` events. Idempotent for an equal run of the same id.

        Steps whose artifact is reused are complete at once, and say so in events after those.
        ``quota`` bounds the unfinished runs, of the tenant and of who starts this one.

        Raises:
            QuotaExceededError: with this run they would be more.
            RunIdConflictError: the id is taken by a run with another body or project.
            ProjectNotFoundError: the tenant has no such project.

        """
        ...

    async def claim_run(
        self, tenant: str, run_id: str, token: str, lease_s: float = LEASE_S, *, seize: bool = False
    ) -> RunRecord | None:
        """Make ``token`` the only one that may write this run's log, for ``lease_s`` seconds of the store's clock.

        None: there is no such run, it has ended, or another's claim has not lapsed. ``seize``: take it from whoever
        has it all the same. Whoever held it gets `ClaimLostError` at the next save. Where that claim had not been
        released, this is a take-over: it is counted, and the tokens reserved by calls of the run are spent.
        """
        ...

    async def renew_claims(self, tenant: str, tokens: Mapping[str, str], lease_s: float = LEASE_S) -> frozenset[str]:
        """Let the claims of these runs (run id -> token) last for ``lease_s`` from now; those that still hold."""
        ...

    async def held_claims(self, tenant: str, tokens: Mapping[str, str]) -> frozenset[str]:
        """Those of these runs (run id -> token) whose claims still hold; nothing is written."""
        ...

    async def release_claim(self, claim: Claim) -> None:
        """Hand the run back, to be claimed by anybody at once, which then is no take-over. Idempotent."""
        ...

    async def end_run(self, tenant: str, run_id: str, end: Callable[[RunRecord], Sequence[Fact]]) -> Written | None:
        """Take the run from whoever has it, and append what ``end`` says of it as it then stands: one transaction.

        Without events: it had ended before. None: there is no such run.
        """
        ...

    async def save(
        self, tenant: str, run_id: str, token: str, facts: Sequence[Fact], artifacts: Sequence[Artifact] = ()
    ) -> tuple[SavedEvent, ...]:
        """Apply ``facts`` to the rows, append them to the log under the next ids, and keep ``artifacts``.

        One transaction, numbered and fenced by one statement (the run row's ``last_event_id``).

        Raises:
            ClaimLostError: ``token`` no longer holds the run, or it has ended. Nothing was changed.
            StoreError: the outcome is unknown; read the log before anything else.

        """
        ...

    async def read_events(self, tenant: str, run_id: str, after: int, limit: int = 500) -> tuple[SavedEvent, ...]:
        """Up to ``limit`` events with ids above ``after``, in order."""
        ...

    async def settled_events(self, tenant: str, run_id: str, after: int, limit: int = 500) -> tuple[SavedEvent, ...]:
        """`read_events` once no save is under way: one of unknown outcome is among them, or never will be."""
        ...

    async def heads(self, tenant: str, run_ids: Sequence[str]) -> dict[str, int]:
        """The newest event id of each of these runs that exists."""
        ...

    async def newest_heads(self, tenant: str, project_ids: Sequence[str], limit: int) -> dict[str, dict[str, int]]:
        """Of each of these projects that has runs, the newest ``limit`` with their newest event ids."""
        ...

    async def get_run(self, tenant: str, run_id: str) -> RunRecord | None:
        """The run with its steps, as of its ``last_event_id``, or None."""
        ...

    async def list_runs(
        self, tenant: str, project_id: str, limit: int = 50, before: str | None = None
    ) -> tuple[RunRecord, ...]:
        """Runs of a project, newest first; ``before`` is the id of the last run of the page before."""
        ...

    async def past_durations(
        self, tenant: str, project_id: str, agents_selected: Sequence[str], pipeline_mode: str, limit: int = 20
    ) -> tuple[float, ...]:
        """Seconds from start to end of the newest ``limit`` completed runs of the same agents, in order, and mode.

        Newest first. A run is left out where a step of it was reused or answered from the cache.
        """
        ...

    async def unfinished_runs(self) -> tuple[tuple[str, str], ...]:
        """(tenant, run id) of every run that has not ended, oldest first."""
        ...

    async def free_runs(self) -> tuple[tuple[str, str], ...]:
        """(tenant, run id) of the oldest runs that nobody claims, or whose claim has lapsed; some hundred at most."""
        ...

    async def ping(self) -> None:
        """Return if the database answers now, within a second or two.

        Raises:
            StoreError: it does not.

        """
        ...

    async def get_artifact(self, tenant: str, project_id: str, artifact_id: str) -> Artifact | None:
        """That artifact, if it belongs to that project."""
        ...

    async def list_artifacts(
        self,
        tenant: str,
        project_id: str,
        run_id: str | None = None,
        limit: int = 200,
        before: str | None = None,
        *,
        with_content: bool = False,
    ) -> tuple[Artifact, ...]:
        """Artifacts of one run, or of a project's runs, those of the newest run first; of each run, newest first.

        Those of a run are those of its steps, also where they are reused from another run. ``before``, only without
        ``run_id``, is the id of the last artifact of the page before. ``content`` is empty unless asked for.
        """
        ...


class DocumentStore(Protocol):
    """The documents of all tenants' projects."""

    async def add_documents(
        self,
        tenant: str,
        project_id: str,
        documents: Sequence[tuple[str, str]],
        added_by: str | None = None,
        quota: Quota = NO_QUOTA,
    ) -> tuple[Document, ...]:
        """Keep documents, each a path and its text: all or none. The answer has one for each, in order, without text.

        The same path again, also in one call, makes the next version; equal text again is the same version. ``quota``
        bounds the bytes of all versions that are kept, those of the tenant and those that ``added_by`` added.

        Raises:
            QuotaExceededError: with these they would be more.
            InvalidDocumentError: one of the texts has no UTF-8.
            ProjectNotFoundError: the tenant has no such project.

        """
        ...

    async def list_documents(
        self, tenant: str, project_id: str, limit: int | None = None, after: str = "", *, with_text: bool = False
    ) -> tuple[Document, ...]:
        """The newest version of each document that is not deleted, in the order of their paths' code points.

        At most ``limit``, or all, of those whose path comes after ``after``.
        """
        ...

    async def count_documents(self, tenant: str, project_id: str) -> int:
        """How many documents the project has."""
        ...

    async def get_document(self, tenant: str, project_id: str, document_id: str) -> Document | None:
        """The newest version of that document with its text; None: the project has no such document."""
        ...

    async def delete_document(self, tenant: str, project_id: str, document_id: str) -> bool:
        """Remove a document with all its versions. False: there was none."""
        ...
