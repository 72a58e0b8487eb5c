"""What agents left behind, inside a unit of work on a tenant's schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.records import Artifact
from orchestrator.store.base import Session, Statement, Value, bounded

INSERT = """
    INSERT INTO {tenant}.artifacts
        (id, run_id, step_id, agent_type, title, artifact_type, content_type, content, created_at)
    VALUES (:id, :run_id, :step_id, :agent_type, :title, :artifact_type, :content_type, :content, :created_at)
"""

ONE = """
    SELECT a.id, a.run_id, a.step_id, a.agent_type, a.title, a.artifact_type, a.content_type, a.content, a.created_at
    FROM {tenant}.artifacts a JOIN {tenant}.agent_runs r ON r.id = a.run_id
    WHERE a.id = :artifact_id AND r.project_id = :project_id
"""

OF_PROJECT = """
    SELECT * FROM (
        SELECT a.id, a.run_id, a.step_id, a.agent_type, a.title, a.artifact_type, a.content_type,
            CASE WHEN :with_content = 1 THEN a.content ELSE '' END AS content, a.created_at
        FROM {tenant}.agent_runs r CROSS JOIN {tenant}.artifacts a
        WHERE r.project_id = :project_id AND a.run_id = r.id
        ORDER BY r.created_at DESC, r.id DESC, a.created_at DESC, a.id DESC LIMIT :limit
    ) newest ORDER BY created_at DESC, id DESC
"""
"""Read along ``agent_runs_by_age``, only as far as the limit. CROSS: SQLite joins in the order that is written."""

OF_RUN = """
    SELECT a.id, a.run_id, a.step_id, a.agent_type, a.title, a.artifact_type, a.content_type,
        CASE WHEN :with_content = 1 THEN a.content ELSE '' END AS content, a.created_at
    FROM {tenant}.artifacts a CROSS JOIN {tenant}.agent_runs r
    WHERE r.id = a.run_id AND r.project_id = :project_id AND a.id IN (
        SELECT id FROM {tenant}.artifacts WHERE run_id = :run_id
        UNION SELECT artifact_id FROM {tenant}.agent_run_steps WHERE run_id = :run_id AND reused = 1
    )
    ORDER BY a.created_at DESC, a.id DESC LIMIT :limit
"""


def keep_artifacts(run_id: str, artifacts: Sequence[Artifact], at: str) -> Iterator[Statement]:
    """Insert them as those of ``run_id``, created at ``at``, whatever they say themselves."""
    for artifact in artifacts:
        yield Statement(INSERT, {**msgspec.structs.asdict(artifact), "run_id": run_id, "created_at": at})


async def find_artifact(session: Session, project_id: str, artifact_id: str) -> Artifact | None:
    """That artifact, if it belongs to that project."""
    row = await session.fetch_one(ONE, artifact_id=artifact_id, project_id=project_id)
    return None if row is None else msgspec.convert(row, Artifact)


async def newest_artifacts(
    session: Session, project_id: str, run_id: str | None, limit: int, *, with_content: bool
) -> tuple[Artifact, ...]:
    """Up to ``limit`` artifacts of the project, or of one of its runs, newest first; equally new ones by id.

    Their content is read only if asked for, and empty otherwise.
    """
    asked: dict[str, Value] = {"project_id": project_id, "limit": bounded(limit), "with_content": int(with_content)}
    if run_id is None:
        rows = await session.fetch_all(OF_PROJECT, **asked)
    else:
        rows = await session.fetch_all(OF_RUN, run_id=run_id, **asked)
    return msgspec.convert(rows, tuple[Artifact, ...])
