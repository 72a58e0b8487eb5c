"""What the project page is about: read once, drawn by the templates, and handed to the scripts that go on from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from realtime import timeline
from realtime.board import RUNS
from realtime.clock import rfc3339
from realtime.durations import DurationRange, usual_range
from realtime.endpoints.backend import Backend
from realtime.endpoints.guard import find_run_of
from realtime.endpoints.page_frame import PageFrame
from realtime.endpoints.paging import DOCUMENTS_PER_PAGE
from realtime.events import RunKey
from realtime.ports import AgentInfo, DocumentInfo, EventLog, RefusedError
from realtime.roles import Action
from realtime.snapshot import RunSnapshot, RunSummary, summarise
from realtime.timeline import Timeline

LONGEST_LOG = 5000
"""Events that one page is worth reading; of a longer log, the page shows what the snapshot knows."""

LOG_PAGE = 500

DEFAULT_MODE = "sequential"


class PageData(msgspec.Struct, frozen=True, kw_only=True):
    """What the scripts of the page begin with; the names are theirs, too.

    ``run``: the one that the page shows, with its ``timeline`` as of the same event, and how long such a run is
    ``expected`` to take. ``price_per_mtok`` of tokens in ``currency``, None: unknown.
    """

    project_id: str
    project_name: str
    may_stream: bool
    may_start: bool
    may_cancel: bool
    agents: tuple[AgentInfo, ...]
    run: RunSnapshot | None
    timeline: Timeline
    runs: tuple[RunSummary, ...]
    expected: DurationRange | None
    price_per_mtok: float | None
    currency: str
    server_time: str


class PageMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """All that the project page shows: ``data``, and what no script needs.

    ``documents`` are the first `DOCUMENTS_PER_PAGE` by path, of ``documents_total``. ``start_expected``: how long a
    run takes of what the form for a new one begins with.
    """

    data: PageData
    documents: tuple[DocumentInfo, ...]
    documents_total: int
    start_expected: DurationRange


async def read_page(backend: Backend, frame: PageFrame, run_id: str | None) -> PageMaterial:
    """The project now, and one of its runs.

    Raises:
        RefusedError: 400, ``run_id`` is none; 404, the project has no such run; 503, nothing can be read now.

    """
    tenant, project = frame.principal.tenant, frame.project
    run = None if run_id is None else await find_run_of(backend, frame.principal, project.id, run_id)
    agents = tuple(backend.runs.agents())
    everybody = [agent.agent_type for agent in agents]
    runs, documents, documents_total, shown_timeline, expected, start_expected = await asyncio.gather(
        backend.runs.list_runs(tenant, project.id, RUNS, None),
        backend.runs.list_documents(tenant, project.id, DOCUMENTS_PER_PAGE),
        backend.runs.count_documents(tenant, project.id),
        _timeline_of(backend, tenant, run),
        _expected_of(backend, tenant, run),
        _usual(backend, tenant, project.id, everybody, DEFAULT_MODE),
    )
    data = PageData(
        project_id=project.id,
        project_name=project.name,
        may_stream=frame.may(Action.STREAM),
        may_start=frame.may(Action.START_RUN),
        may_cancel=frame.may(Action.CANCEL_RUN),
        agents=agents,
        run=run,
        timeline=shown_timeline,
        runs=tuple(summarise(one) for one in runs),
        expected=expected,
        price_per_mtok=backend.settings.llm_price_per_mtok,
        currency=backend.settings.llm_currency,
        server_time=rfc3339() if run is None else run.server_time,
    )
    return PageMaterial(
        data=data, documents=tuple(documents), documents_total=documents_total, start_expected=start_expected
    )


async def _timeline_of(backend: Backend, tenant: str, run: RunSnapshot | None) -> Timeline:
    return timeline.empty() if run is None else await read_timeline(backend.log, RunKey(tenant, run.id), run)


async def read_timeline(log: EventLog, key: RunKey, run: RunSnapshot) -> Timeline:
    """The run's timeline as of ``run``: from its log, else, where that is gone or too long, from the snapshot."""
    if run.last_event_id > LONGEST_LOG:
        return timeline.from_snapshot(run)
    folded, cursor = timeline.empty(), 0
    while cursor < run.last_event_id:
        events = await log.read(key, cursor, min(LOG_PAGE, run.last_event_id - cursor))
        if not events or events[0].id != cursor + 1:
            return timeline.from_snapshot(run)
        for event in events:
            folded = timeline.apply(folded, event)
        cursor = events[-1].id
    return folded


async def _expected_of(backend: Backend, tenant: str, run: RunSnapshot | None) -> DurationRange | None:
    if run is None:
        return None
    return await _usual(backend, tenant, run.project_id, run.agents_selected, run.pipeline_mode)


async def _usual(backend: Backend, tenant: str, project_id: str, agents: Sequence[str], mode: str) -> DurationRange:
    """How long such runs take; an old run may be of agents that nobody can select any more: nothing is expected."""
    try:
        return usual_range(await backend.runs.past_durations(tenant, project_id, agents, mode))
    except RefusedError as refused:
        if refused.status != 400:
            raise
        return DurationRange(samples=0)
