"""Orchestration and its store in the shapes that delivery asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from orchestrator.budget import TokenBudget
from orchestrator.documents import read_document
from orchestrator.errors import StoreError
from orchestrator.pipeline import CATALOGUE, parse_mode, validate_selection
from orchestrator.records import NO_QUOTA, Quota, RunRecord, SavedEvent
from orchestrator.service import Orchestrator
from orchestrator.spending import MonthUsage
from orchestrator.store import Store
from orchestrator.store.acks import AckRecord
from realtime.broadcaster import Broadcaster
from realtime.clock import rfc3339
from realtime.counts import RunCounts, RunOutcome
from realtime.events import Event, RunKey
from realtime.ports import Ack, AgentInfo, ArtifactInfo, DocumentInfo, RunRequest, UsageInfo
from realtime.shared_reads import SharedReads
from realtime.snapshot import RunSnapshot
from realtime.wiring.refusals import refusing

Shape = TypeVar("Shape")


def reshape(record: object, shape: type[Shape], **more: Any) -> Shape:
    """``record`` as a ``shape``: fields of the same names, and ``more``."""
    return msgspec.convert({**msgspec.to_builtins(record), **more}, shape)


def to_snapshot(record: RunRecord) -> RunSnapshot:
    """A run's rows as delivery shows them, now."""
    return reshape(record, RunSnapshot, server_time=rfc3339())


def to_usage(usage: MonthUsage, limit: int | None) -> UsageInfo:
    """A month's tokens as delivery shows them."""
    return reshape(
        usage,
        UsageInfo,
        limit=limit,
        remaining=None if limit is None else usage.remaining(limit),
        warning=limit is not None and usage.is_warning(limit),
        resets_at=usage.resets_at,
    )


class _Ending(msgspec.Struct):
    """What the payload of a terminal event says of how the run ended."""

    error_code: str = RunOutcome.COMPLETED


class BroadcastPublisher:
    """`orchestrator.ports.Publisher` over the broadcaster; runs that end are counted."""

    def __init__(self, broadcaster: Broadcaster, counts: RunCounts) -> None:
        self._broadcaster = broadcaster
        self._counts = counts

    def publish(self, tenant: str, run_id: str, events: Sequence[SavedEvent]) -> None:
        """Tell viewers. Never waits and never raises."""
        told = _to_events(run_id, events)
        self._broadcaster.publish(RunKey(tenant, run_id), told)
        for event in told:
            if event.terminal:
                self._counts.ended(msgspec.json.decode(event.payload, type=_Ending).error_code)


def _to_events(run_id: str, events: Iterable[SavedEvent]) -> list[Event]:
    return [Event(run_id, event.id, event.type, event.payload) for event in events]


class StoredLog:
    """`realtime.ports.EventLog` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @refusing
    async def read(self, key: RunKey, after: int, limit: int) -> Sequence[Event]:
        """Up to ``limit`` events with ids above ``after``, in order."""
        return _to_events(key.run_id, await self._store.runs.read_events(key.tenant, key.run_id, after, limit))

    @refusing
    async def heads(self, keys: Iterable[RunKey]) -> dict[RunKey, int]:
        """The newest event id of each of these runs that exists."""
        by_tenant: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            by_tenant[key.tenant].append(key.run_id)
        return {
            RunKey(tenant, run_id): head
            for tenant, run_ids in by_tenant.items()
            for run_id, head in (await self._store.runs.heads(tenant, run_ids)).items()
        }

    @refusing
    async def get_ack(self, key: RunKey, user_id: str, client_id: str) -> int | None:
        """The event id last kept for that viewer."""
        return await self._store.acks.get_ack(key.tenant, key.run_id, user_id, client_id)

    @refusing
    async def save_acks(self, acks: Sequence[Ack]) -> None:
        """Keep them, each tenant's whole or not at all."""
        by_tenant: dict[str, list[AckRecord]] = defaultdict(list)
        for ack in acks:
            record = AckRecord(
                run_id=ack.key.run_id, user_id=ack.user_id, client_id=ack.client_id, event_id=ack.event_id
            )
            by_tenant[ack.key.tenant].append(record)
        for tenant, records in by_tenant.items():
            await self._store.acks.save_acks(tenant, records)


class StoredRuns:
    """`realtime.ports.RunService` over the orchestrator and its store."""

    def __init__(
        self,
        store: Store,
        orchestrator: Orchestrator,
        budget: TokenBudget,
        notice: str | None,
        document_quota: Quota = NO_QUOTA,
    ) -> None:
        self._store = store
        self._document_quota = document_quota
        self._orchestrator = orchestrator
        self._budget = budget
        self._notice = notice
        self._snapshots = SharedReads(self._read_runs, lambda key: key)

    @property
    def notice(self) -> str | None:
        """What everybody who starts a run should know."""
        return self._notice

    def agents(self) -> Sequence[AgentInfo]:
        """The catalogue, in the order of a full pipeline."""
        return [reshape(agent, AgentInfo) for agent in CATALOGUE]

    async def is_available(self) -> bool:
        """True where the store answers."""
        try:
            await self._store.ping()
        except StoreError:
            return False
        return True

    @refusing
    async def start_run(self, tenant: str, project_id: str, request: RunRequest, started_by: str) -> RunSnapshot:
        """Accept a run; it starts by itself."""
        record = await self._orchestrator.start_run(
            tenant,
            project_id,
            agents_selected=request.agents_selected,
            pipeline_mode=request.pipeline_mode,
            run_id=request.run_id,
            started_by=started_by,
            use_cache=request.use_cache,
        )
        return to_snapshot(record)

    @refusing
    async def cancel_run(self, key: RunKey, cancelled_by: str) -> RunSnapshot:
        """End the run and stop work on it; one that has ended stays as it is."""
        return to_snapshot(await self._orchestrator.cancel_run(key.tenant, key.run_id, cancelled_by))

    @refusing
    async def retry_run(self, key: RunKey, retry_id: str | None, started_by: str) -> RunSnapshot:
        """Accept a run that does again what that run did not complete."""
        record = await self._orchestrator.retry_run(key.tenant, key.run_id, retry_id=retry_id, started_by=started_by)
        return to_snapshot(record)

    async def get_run(self, key: RunKey) -> RunSnapshot | None:
        """The run, read in one read snapshot."""
        return await self._snapshots.get(key)

    @refusing
    async def _read_runs(self, keys: Collection[RunKey]) -> dict[RunKey, RunSnapshot]:
        records = {key: await self._store.runs.get_run(key.tenant, key.run_id) for key in keys}
        return {key: to_snapshot(record) for key, record in records.items() if record is not None}

    @refusing
    async def list_runs(self, tenant: str, project_id: str, limit: int, before: str | None) -> Sequence[RunSnapshot]:
        """Runs of a project, newest first."""
        return [to_snapshot(record) for record in await self._store.runs.list_runs(tenant, project_id, limit, before)]

    @refusing
    async def newest_heads(self, tenant: str, project_ids: Sequence[str], limit: int) -> dict[str, dict[str, int]]:
        """The newest runs of each of these projects, with their newest event ids."""
        return await self._store.runs.newest_heads(tenant, project_ids, limit)

    @refusing
    async def past_durations(
        self, tenant: str, project_id: str, agents_selected: Sequence[str], pipeline_mode: str
    ) -> Sequence[float]:
        """Seconds that the newest completed runs of these agents and this mode took."""
        agents, mode = validate_selection(agents_selected), parse_mode(pipeline_mode)
        return await self._store.runs.past_durations(tenant, project_id, agents, mode)

    @refusing
    async def usage(self, tenant: str) -> UsageInfo:
        """What the tenant has spent in this month, and what is left."""
        return to_usage(await self._budget.usage(tenant), self._budget.limit)

    @refusing
    async def list_documents(
        self, tenant: str, project_id: str, limit: int | None = None, after: str = ""
    ) -> Sequence[DocumentInfo]:
        """The project's documents by path."""
        documents = await self._store.documents.list_documents(tenant, project_id, limit, after)
        return [reshape(document, DocumentInfo) for document in documents]

    @refusing
    async def count_documents(self, tenant: str, project_id: str) -> int:
        """How many documents the project has."""
        return await self._store.documents.count_documents(tenant, project_id)

    @refusing
    async def add_documents(
        self, tenant: str, project_id: str, documents: Sequence[tuple[str, bytes]], added_by: str
    ) -> Sequence[DocumentInfo]:
        """Keep documents: all that are given, or none."""
        readable = [(path, read_document(path, content)) for path, content in documents]
        kept = await self._store.documents.add_documents(tenant, project_id, readable, added_by, self._document_quota)
        return [reshape(document, DocumentInfo) for document in kept]

    @refusing
    async def get_document(self, tenant: str, project_id: str, document_id: str) -> DocumentInfo | None:
        """One document with its content."""
        document = await self._store.documents.get_document(tenant, project_id, document_id)
        return None if document is None else reshape(document, DocumentInfo, content=document.text)

    @refusing
    async def delete_document(self, tenant: str, project_id: str, document_id: str) -> bool:
        """Remove a document."""
        return await self._store.documents.delete_document(tenant, project_id, document_id)

    @refusing
    async def list_artifacts(
        self, tenant: str, project_id: str, run_id: str | None, limit: int, before: str | None = None
    ) -> Sequence[ArtifactInfo]:
        """Artifacts, newest first, without content."""
        artifacts = await self._store.runs.list_artifacts(tenant, project_id, run_id, limit, before)
        return [
            msgspec.structs.replace(reshape(artifact, ArtifactInfo), content=msgspec.UNSET) for artifact in artifacts
        ]

    @refusing
    async def get_artifact(self, tenant: str, project_id: str, artifact_id: str) -> ArtifactInfo | None:
        """One artifact with its content."""
        artifact = await self._store.runs.get_artifact(tenant, project_id, artifact_id)
        return None if artifact is None else reshape(artifact, ArtifactInfo)
