"""Lists of artifacts, on every database: which are in them, and how much is read for them where there are many."""

from __future__ import annotations

import re

from store_material import TENANT, Project, open_project

from orchestrator.records import Artifact
from orchestrator.store.artifacts import OF_PROJECT, OF_RUN, OLDER_OF_PROJECT
from orchestrator.store.base import Session

RUNS = 2000
"""Each with three artifacts; those of the first are the last that were made."""

PLACES = {"run_id": "run-7", "before": "2-1000"}

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
        places = {name: place for name, place in PLACES.items() if f":{name}" in sql}
        rows = await session.fetch_all(f"{explain} {sql}", project_id=project.id, limit=20, with_content=0, **places)
        return "\n".join(str([*row.values()][-1]) for row in rows)

    return await project.store._databases.write(TENANT, work)


async def test_artifacts_of_many_runs_are_those_of_the_newest(project: Project) -> None:
    """Those of an older run come later, whenever they were made, up to the limit."""
    await seed(project)
    listed = await project.store.runs.list_artifacts(TENANT, project.id, limit=4)
    assert [artifact.id for artifact in listed] == ["3-2000", "2-2000", "1-2000", "3-1999"]


async def test_artifacts_by_page_are_each_there_once(project: Project) -> None:
    """Pages joined by ``before`` hold every artifact of the project, also where a run's are on two pages."""
    await seed(project)
    listed: list[Artifact] = []
    list_artifacts = project.store.runs.list_artifacts
    while page := await list_artifacts(TENANT, project.id, None, 1000, listed[-1].id if listed else None):
        listed += page
    runs = range(RUNS, 0, -1)
    assert [artifact.id for artifact in listed] == [f"{kind}-{run}" for run in runs for kind in (3, 2, 1)]
    other = await open_project(project.store, slug="other")
    assert await list_artifacts(TENANT, other.id, None, 4, "2-1000") == ()
    assert await list_artifacts(TENANT, project.id, None, 4, "none") == ()


async def test_artifacts_listed_are_all_that_is_read(project: Project, implementation: str) -> None:
    """The database neither sorts all of a project for its newest, nor looks at other runs for those of one."""
    await seed(project)
    of_run = await plan(project, implementation, OF_RUN)
    pages = [await plan(project, implementation, sql) for sql in (OF_PROJECT, OLDER_OF_PROJECT)]
    if implementation == "postgres":
        for told in (*pages, of_run):
            assert max(float(rows) for rows in re.findall(r"actual time=\S+ rows=([\d.]+)", told)) < 50, told
    else:
        for told in pages:
            assert re.search("(RIGHT PART|LAST 2 TERMS) OF ORDER BY", told), told
            assert "agent_runs_by_age" in told, told
        assert "agent_runs_by_age" not in of_run, of_run
