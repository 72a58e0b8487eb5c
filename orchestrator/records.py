"""What a store keeps, as it passes between the parts of the orchestrator. Pure.

Times are RFC 3339 text in UTC with milliseconds and a ``Z`` (``2026-02-28T09:30:00.000Z``); they sort as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from orchestrator.pipeline import PipelineMode
from orchestrator.states import RunState, StepState

MAX_DOCUMENT_BYTES = 5_000_000

MAX_PROJECT_BYTES = 64_000_000
"""All documents of a project, in their newest versions: a run has them in memory together."""


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something a tenant, and each of its users, may have at a time; 0: no limit."""

    tenant: int = 0
    user: int = 0


NO_QUOTA = Quota()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of one document of a project; ``version`` counts from 1, ``size`` is in bytes."""

    id: str
    project_id: str
    path: str
    version: int
    size: int
    created_at: str
    text: str = ""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent left behind in a run."""

    id: str
    run_id: str
    step_id: str
    agent_type: str
    title: str
    artifact_type: str
    content_type: str
    content: str
    created_at: str = ""
    """Set by the store's clock when it is saved."""


class Claim(NamedTuple):
    """The right to write the log of a run: only who has the ``token`` that stands on its row can."""

    tenant: str
    run_id: str
    token: str


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run as its row stands.

    ``retry_at`` stands while it waits for another attempt, ``reason`` says why, or why it failed where that is finer
    than its code. ``stalled``: its agent has made no progress for some time, and ``progress_age_s`` says, by the
    store's clock, for how many seconds; None where the step is not under way.
    """

    id: str
    agent_type: str
    position: int
    status: StepState
    progress_pct: int
    progress_label: str | None
    attempt: int
    tokens_used: int
    artifact_id: str | None
    error_code: str | None
    error_message: str | None
    started_at: str | None
    completed_at: str | None
    retry_at: str | None = None
    reason: str | None = None
    stalled: bool = False
    cached: bool = False
    reused: bool = False
    progress_age_s: float | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its steps (by position), read in one snapshot: as of event ``last_event_id``.

    ``takeovers`` counts the claims in a row that lapsed without a step completing; ``taken_over``, in the answer to a
    claim only, says that it was such a take-over. ``heartbeat_age_s`` is how many seconds ago, by the store's clock,
    the worker that claims it was last heard of; None where no worker does.
    """

    id: str
    project_id: str
    status: RunState
    pipeline_mode: PipelineMode
    agents_selected: tuple[str, ...]
    steps: tuple[StepRecord, ...]
    last_event_id: int
    total_tokens: int
    error_code: str | None
    error_message: str | None
    started_by: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    retry_of: str | None = None
    cancelled_by: str | None = None
    use_cache: bool = True
    takeovers: int = 0
    taken_over: bool = False
    heartbeat_age_s: float | None = None


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be accepted: its agents are valid, its ids chosen; step ids are in the order of the agents.

    With ``retry_of``, ``reused`` holds the artifact that a step of that run left, by agent type; a step that has one
    is complete from the start.
    """

    id: str
    project_id: str
    pipeline_mode: PipelineMode
    agents_selected: tuple[str, ...]
    step_ids: tuple[str, ...]
    started_by: str
    retry_of: str | None = None
    reused: Mapping[str, str] = MappingProxyType({})
    use_cache: bool = True


class SavedEvent(msgspec.Struct, frozen=True):
    """One event of a run's log: its id, wire type, and payload as the JSON text that is stored."""

    id: int
    type: str
    payload: str


class Written(msgspec.Struct, frozen=True):
    """A run as it stands, and the events that were just added; none where all that was asked for had been done."""

    run: RunRecord
    events: tuple[SavedEvent, ...]
