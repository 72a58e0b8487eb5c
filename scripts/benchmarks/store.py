"""``scripts/bench store``: events committed per second, and from commit to viewer, on each database.

A save is one event: its number, its line in the log, the step's row, one COMMIT. Plain asyncpg does the very same
statements on connections of its own, one per run, against the same PostgreSQL; the contestants take turns.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import click
import uvloop
from latency import measure_latency
from postgres_server import OwnPostgresServer, PostgresServer
from report import keep, show

from orchestrator.events import StepRunning, encode_payload
from orchestrator.pipeline import PipelineMode
from orchestrator.records import NewRun
from orchestrator.store import Store, open_postgres_store, open_sqlite_store
from orchestrator.store.postgres_driver import render
from orchestrator.store.run_log import INSERT_EVENT, NUMBER
from orchestrator.store.run_rows import RUN_STEP

TENANT = "bench"
AGENT = "ba_consultant"
TOKEN = "bench"
LABEL = "Reading docs/requirements.md (12 of 40)"

Save = Callable[[NewRun, int], Awaitable[None]]


def new_run(project_id: str) -> NewRun:
    """A run of one step."""
    return NewRun(
        id=str(uuid4()),
        project_id=project_id,
        pipeline_mode=PipelineMode.SEQUENTIAL,
        agents_selected=(AGENT,),
        step_ids=(str(uuid4()),),
        started_by="bench",
    )


async def accept(store: Store, count: int) -> list[NewRun]:
    """Runs that are accepted and claimed."""
    await store.accounts.ensure_tenant(TENANT)
    project = await store.accounts.ensure_project(TENANT, "bench", "Bench")
    runs = [new_run(project.id) for _ in range(count)]
    for run in runs:
        await store.runs.accept_run(TENANT, run)
        await store.runs.claim_run(TENANT, run.id, TOKEN)
    return runs


def fact(run: NewRun, number: int) -> StepRunning:
    """The event that is saved as ``number``."""
    return StepRunning(
        step_id=run.step_ids[0], agent_type=AGENT, progress_pct=number % 100, progress_label=LABEL, attempt=1
    )


def through_store(store: Store) -> Save:
    """Saving as the recorder does."""

    async def save(run: NewRun, number: int) -> None:
        await store.runs.save(TENANT, run.id, TOKEN, [fact(run, number)])

    return save


class Plain:
    """The statements of a save, on one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def save(self, run: NewRun, number: int) -> None:
        """What `RunStore.save` does, without it."""
        step = run.step_ids[0]
        async with self._connection.transaction():
            row = (await self._fetch(NUMBER, n=1, id=run.id, token=TOKEN))[0]
            payload = encode_payload(fact(run, number), row["at"])
            await self._fetch(INSERT_EVENT, run_id=run.id, id=row["last_event_id"], type="running", payload=payload)
            progress = {"progress_pct": number % 100, "progress_label": LABEL, "attempt": 1}
            waiting = {"retry_at": None, "reason": None, "stalled": 0}
            await self._fetch(RUN_STEP, run_id=run.id, step_id=step, at=row["at"], **progress, **waiting)

    async def _fetch(self, sql: str, **values: object) -> list[Any]:
        text, names = render(sql, f"tenant_{TENANT}")
        return await self._connection.fetch(text, *(values[name] for name in names))


@asynccontextmanager
async def through_asyncpg(url: str, runs: Sequence[NewRun]) -> AsyncIterator[Save]:
    """Saving with plain asyncpg, a connection for each run."""
    async with AsyncExitStack() as stack:
        plain = {}
        for run in runs:
            connection = await asyncpg.connect(url)
            stack.push_async_callback(connection.close)
            plain[run.id] = Plain(connection)
        yield lambda run, number: plain[run.id].save(run, number)


async def time_round(save: Save, runs: Sequence[NewRun], events: int) -> tuple[float, float]:
    """Seconds by the wall clock, and of this process's CPU, per event; the runs are written side by side."""
    each = events // len(runs)

    async def write(run: NewRun) -> None:
        for number in range(each):
            await save(run, number)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(write, runs))
    done = each * len(runs)
    return (time.perf_counter() - started) / done, (time.process_time() - cpu) / done


async def measure_commits(
    server: PostgresServer, runs_at_once: int, events: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each contestant; medians of rounds in which each has its turn."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(server.database())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = await stack.enter_async_context(await open_postgres_store(url))
        sqlite = await stack.enter_async_context(await open_sqlite_store(home))
        runs = {
            "asyncpg": await accept(postgres, runs_at_once),
            "postgres": await accept(postgres, runs_at_once),
            "sqlite": await accept(sqlite, runs_at_once),
        }
        savers: dict[str, Save] = {
            "asyncpg": await stack.enter_async_context(through_asyncpg(url, runs["asyncpg"])),
            "postgres": through_store(postgres),
            "sqlite": through_store(sqlite),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in savers}
        for _ in range(rounds + 1):  # the first is to warm up
            for name, save in savers.items():
                times[name].append(await time_round(save, runs[name], events))
    return [_row(name, runs_at_once, times[name][1:], times["asyncpg"][1:]) for name in savers]


def _row(
    name: str, runs: int, times: Sequence[tuple[float, float]], plain: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    return {
        "database": name,
        "runs": runs,
        "events_per_s": round(1 / median(wall for wall, _ in times)),
        "us_per_event": median(wall for wall, _ in times) * 1e6,
        "cpu_us_per_event": median(cpu for _, cpu in times) * 1e6,
        "times_asyncpg": median(mine / other for (mine, _), (other, _) in zip(times, plain, strict=True)),
    }


@click.command()
@click.option("--events", default=500, show_default=True, help="Events per round and contestant.")
@click.option("--rounds", default=15, show_default=True, help="Rounds of which the median is told.")
@click.option("--postgres", "url", help="URL of a superuser; default: a server of our own, with fsync.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures there.")
def store(events: int, rounds: int, url: str | None, file: Path | None) -> None:
    """Commits per second on SQLite and PostgreSQL beside plain asyncpg, and latency from commit to viewer."""
    server = PostgresServer(url) if url else OwnPostgresServer(durable=True)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            commits = [row for runs in (1, 8) for row in runner.run(measure_commits(server, runs, events, rounds))]
            with server.database() as database, tempfile.TemporaryDirectory() as home:
                latency = [
                    runner.run(measure_latency("sqlite", Path(home) / "sqlite", None)),
                    runner.run(measure_latency("postgres", Path(home) / "postgres", database)),
                ]
    finally:
        server.close()
    show("Events committed, one per transaction", commits)
    show("From commit to a WebSocket viewer in another process", latency)
    keep(file, commits=commits, latency=latency)
