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

_OF_PROJECT = """
    SELECT a.id, a.run_id, a.step_id, a.agent_type, a.title, a.artifact_type, a.content_type,
        CASE WHEN :with_content = 1 THEN a.content ELSE '' END AS content, a.created_at
    FROM {{tenant}}.agent_runs r CROSS JOIN {{tenant}}.artifacts a
    WHERE r.project_id = :project_id AND a.run_id = r.id {older}
    ORDER BY r.created_at DESC, r.id DESC, a.created_at DESC, a.id DESC LIMIT :limit
"""
"""Read along ``agent_runs_by_age``, only as far as the limit. CROSS: SQLite joins in the order that is written."""

OF_PROJECT = _OF_PROJECT.format(older="")

OLDER_OF_PROJECT = _OF_PROJECT.format(
    older="""
    AND (r.created_at, r.id) <= (
        SELECT created_at, id FROM {tenant}.agent_runs
        WHERE project_id = :project_id AND id = (SELECT run_id FROM {tenant}.artifacts WHERE id = :before)
    )
    AND (r.created_at, r.id, a.created_at, a.id) < (
        SELECT of_last.created_at, of_last.id, last.created_at, last.id
        FROM {tenant}.artifacts last JOIN {tenant}.agent_runs of_last ON of_last.id = last.run_id
        WHERE last.id = :before
    )
    """
)
"""The first condition is for the index, and keeps out a place in another project."""

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


async def artifacts_of_project(
    session: Session, project_id: str, limit: int, before: str | None, *, with_content: bool
) -> tuple[Artifact, ...]:
    """Up to ``limit``, those of the newest run first, those of each run newest first; equally new ones by id.

    ``before``: only those after that one. Their content is read only if asked for, and empty otherwise.
    """
    asked: dict[str, Value] = {"project_id": project_id, "limit": bounded(limit), "with_content": int(with_content)}
    if before is None:
        rows = await session.fetch_all(OF_PROJECT, **asked)
    else:
        rows = await session.fetch_all(OLDER_OF_PROJECT, before=before, **asked)
    return msgspec.convert(rows, tuple[Artifact, ...])


async def artifacts_of_run(
    session: Session, project_id: str, run_id: str, limit: int, *, with_content: bool
) -> tuple[Artifact, ...]:
    """Up to ``limit`` of a run of the project, newest first; equally new ones by id. Content as above."""
    rows = await session.fetch_all(
        OF_RUN, project_id=project_id, run_id=run_id, limit=bounded(limit), with_content=int(with_content)
    )
    return msgspec.convert(rows, tuple[Artifact, ...])
