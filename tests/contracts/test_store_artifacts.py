"""Lists of artifacts, on every database: which are in them, and how much is read for them where there are many."""

from __future__ import annotations

import re

from store_material import TENANT, Project

from orchestrator.store.artifacts import OF_PROJECT, OF_RUN
from orchestrator.store.base import Session

RUNS = 2000
"""Each with three artifacts; those of the first are the last that were made."""

NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :runs)"
SEED_RUNS = f"""
    INSERT INTO {{tenant}}.agent_runs
        (id, project_id, status, pipeline_mode, agents_selected, last_event_id, started_by, created_at)
    {NUMBERS} SELECT 'run-' || n, :project_id, 'completed', 'sequential', 'a', 1, 'u', '2026-' || (100000 + n)
    FROM numbers
"""
SEED_ARTIFACTS = f"""
    INSERT INTO {{tenant}}.artifacts
        (id, run_id, step_id, agent_type, title, artifact_type, content_type, content, created_at)
    {NUMBERS} SELECT kind || '-' || n, 'run-' || n, 's', 'a', 't', 'm', 'text/plain', 'c',
        CASE WHEN n = 1 THEN '2027' ELSE '2026-' || (100000 + n) END
    FROM numbers CROSS JOIN (SELECT 1 AS kind UNION SELECT 2 UNION SELECT 3) kinds
"""


async def seed(project: Project) -> None:
    """`RUNS` runs, older ones first."""

    async def work(session: Session) -> None:
        await session.execute(SEED_RUNS, runs=RUNS, project_id=project.id)
        await session.execute(SEED_ARTIFACTS, runs=RUNS)

    await project.store._databases.write(TENANT, work)


async def plan(project: Project, implementation: str, sql: str) -> str:
    """How the database reads what ``sql`` asks for; PostgreSQL says how many rows each step had."""

    async def work(session: Session) -> str:
        if implementation == "postgres":
            for table in ("agent_runs", "artifacts"):
                await session.execute(f"ANALYZE {{tenant}}.{table}")
        explain = "EXPLAIN (ANALYZE)" if implementation == "postgres" else "EXPLAIN QUERY PLAN"
        run = {"run_id": "run-7"} if ":run_id" in sql else {}
        rows = await session.fetch_all(f"{explain} {sql}", project_id=project.id, limit=20, with_content=0, **run)
        return "\n".join(str([*row.values()][-1]) for row in rows)

    return await project.store._databases.write(TENANT, work)


async def test_artifacts_of_many_runs_are_those_of_the_newest(project: Project) -> None:
    """Those of an older run are left out, whenever they were made; the others are in order, up to the limit."""
    await seed(project)
    listed = await project.store.runs.list_artifacts(TENANT, project.id, limit=4)
    assert [artifact.id for artifact in listed] == ["3-2000", "2-2000", "1-2000", "3-1999"]
    everything = await project.store.runs.list_artifacts(TENANT, project.id, limit=3 * RUNS)
    assert [artifact.id for artifact in everything[:4]] == ["3-1", "2-1", "1-1", "3-2000"]
    assert len(everything) == 3 * RUNS


async def test_artifacts_listed_are_all_that_is_read(project: Project, implementation: str) -> None:
    """The database neither sorts all of a project for its newest, nor looks at other runs for those of one."""
    await seed(project)
    of_project = await plan(project, implementation, OF_PROJECT)
    of_run = await plan(project, implementation, OF_RUN)
    if implementation == "postgres":
        read = [float(rows) for rows in re.findall(r"actual time=\S+ rows=([\d.]+)", of_project + of_run)]
        assert max(read) < 50, of_project + of_run
    else:
        assert re.search("(RIGHT PART|LAST 2 TERMS) OF ORDER BY", of_project), of_project
        assert "agent_runs_by_age" in of_project
        assert "agent_runs_by_age" not in of_run, of_run
