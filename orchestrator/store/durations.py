"""How long the runs of a project took, inside a unit of work on a tenant's schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from orchestrator.store.base import Row, Session

LOOKED_AT = 500
"""The newest runs of a project are looked at: what is older says little of the next one, and would cost more."""

NEWEST_WHOLE = """
    SELECT started_at, ended_at FROM (
        SELECT id, agents_selected, pipeline_mode, status, started_at, ended_at, created_at FROM {tenant}.agent_runs
        WHERE project_id = :project_id ORDER BY created_at DESC, id DESC LIMIT :looked_at
    ) AS r
    WHERE agents_selected = :agents_selected AND pipeline_mode = :pipeline_mode
        AND status = 'completed' AND NOT EXISTS (
            SELECT 1 FROM {tenant}.agent_run_steps s WHERE s.run_id = r.id AND (s.reused = 1 OR s.cached = 1)
        )
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""


async def past_durations(
    session: Session, project_id: str, agents_selected: Sequence[str], pipeline_mode: str, limit: int
) -> tuple[float, ...]:
    """Seconds from start to end of the newest ``limit`` such runs that did all their work, newest first."""
    rows = await session.fetch_all(
        NEWEST_WHOLE,
        project_id=project_id,
        agents_selected=msgspec.json.encode(agents_selected).decode(),
        pipeline_mode=pipeline_mode,
        looked_at=LOOKED_AT,
        limit=limit,
    )
    return tuple(_seconds(row) for row in rows)


def _seconds(row: Row) -> float:
    started, ended = (datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at"))
    return (ended - started).total_seconds()
