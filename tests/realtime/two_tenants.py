"""People of different tenants or projects on one server, each with things that nobody else may ever see."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from live import LiveServer, LiveSocket
from seeded import AGENT
from store_material import accept_claimed

from orchestrator.events import Fact, RunEnded, StepComplete, StepRunning
from orchestrator.pipeline import PipelineMode
from orchestrator.records import Artifact, NewRun
from realtime.events import Event, RunKey
from realtime.ports import User

SAME_PATH = "docs/spec.md"


@dataclass(frozen=True)
class Party:
    """An owner with a project: a document, an artifact, and a run whose log the test writes. All hold the marker."""

    server: LiveServer
    user: User
    project_id: str
    run_id: str
    step_id: str
    document_id: str
    artifact_id: str
    marker: str

    @property
    def headers(self) -> dict[str, str]:
        """What identifies the owner."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def token(self) -> str:
        """A fresh token of the owner."""
        return self.server.tokens.issue(self.user, 3600)

    @property
    def ids(self) -> dict[str, str]:
        """What can be stolen, by the names that paths have for it."""
        return {
            "project_id": self.project_id,
            "run_id": self.run_id,
            "document_id": self.document_id,
            "artifact_id": self.artifact_id,
        }

    def secrets(self) -> set[str]:
        """Texts that tell of this party wherever they show up."""
        return {self.marker, self.user.email, self.user.id, self.step_id, *self.ids.values()}

    async def progress(self, *labels: str) -> None:
        """Save and publish one event for each label; the marker is added to it."""
        await self.save(*(self._running(label) for label in labels))

    async def finish(self) -> None:
        """Save and publish the end of the run."""
        await self.save(RunEnded.failure(self.run_id, "INTERRUPTED", f"{self.marker} ended it"))

    async def save(self, *facts: Fact, artifacts: Sequence[Artifact] = ()) -> None:
        """Save and publish facts of the run."""
        tenant, home = self.user.tenant, self.server.home
        saved = await home.store.runs.save(tenant, self.run_id, self.marker, facts, artifacts)
        made = [Event(self.run_id, event.id, event.type, event.payload) for event in saved]
        home.backend.broadcaster.publish(RunKey(tenant, self.run_id), made)

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator[LiveSocket]:
        """A WebSocket connection of the owner."""
        async with self.server.socket(additional_headers=self.headers) as socket:
            yield socket

    def _running(self, label: str) -> StepRunning:
        return StepRunning(
            step_id=self.step_id, agent_type=AGENT, progress_pct=1, progress_label=f"{self.marker} {label}", attempt=1
        )


async def settle(server: LiveServer, tenant: str, *, run_id: str | None = None, project: str = "main") -> Party:
    """A new owner in ``tenant``; their run has events 1 to 3 and goes on. Tenants may share a ``run_id``."""
    marker = f"mark{uuid4().hex}"
    accounts = server.home.store.accounts
    await accounts.ensure_tenant(tenant)
    place = await accounts.ensure_project(tenant, project, f"Project {marker}")
    record = await accounts.ensure_user(tenant, f"{marker}@example.org")
    await accounts.set_member(tenant, place.id, record.id, "owner")
    text = f"# Spec {marker}\n\n- The system MUST {marker}.\n".encode()
    (document,) = await server.home.backend.runs.add_documents(tenant, place.id, [(SAME_PATH, text)], record.id)
    run = NewRun(
        id=run_id or str(uuid4()),
        project_id=place.id,
        pipeline_mode=PipelineMode.SEQUENTIAL,
        agents_selected=(AGENT,),
        step_ids=(str(uuid4()),),
        started_by=record.id,
    )
    party = Party(
        server=server,
        user=User(tenant=tenant, id=record.id, email=record.email),
        project_id=place.id,
        run_id=run.id,
        step_id=run.step_ids[0],
        document_id=document.id,
        artifact_id=str(uuid4()),
        marker=marker,
    )
    await accept_claimed(server.home.store, tenant, run, marker)
    await party.progress("reads")
    await party.save(_complete(party), artifacts=[_artifact(party)])
    return party


def _complete(party: Party) -> StepComplete:
    return StepComplete(
        step_id=party.step_id, agent_type=AGENT, tokens_used=1, artifact_id=party.artifact_id, duration_ms=1
    )


def _artifact(party: Party) -> Artifact:
    return Artifact(
        id=party.artifact_id,
        run_id=party.run_id,
        step_id=party.step_id,
        agent_type=AGENT,
        title=f"Coverage {party.marker}",
        artifact_type="coverage_matrix",
        content_type="text/markdown",
        content=f"# {party.marker}\n",
    )
