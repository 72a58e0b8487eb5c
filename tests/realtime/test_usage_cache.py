"""Runs that are answered from the cache, as whoever starts and watches them sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from live import GatedModel, LiveServer, live_server

from orchestrator.store.base import Session
from realtime.client import RunClient

BA = "ba_consultant"
COSTLY = {"llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "gated"}
"""The settings of a server whose model costs something; the test's own model answers in its place."""


@pytest.fixture
def model() -> GatedModel:
    """A model whose every answer takes 100 tokens."""
    return GatedModel()


@pytest.fixture
async def server(tmp_path: Path, model: GatedModel) -> AsyncIterator[LiveServer]:
    """A server with a cache."""
    async with live_server(tmp_path, model, **COSTLY) as live:
        yield live


async def step_of(server: LiveServer, run_id: str) -> dict[str, Any]:
    """The first step of a run, when that has ended; live and stored it is the same."""
    live = await server.watched(run_id)
    (completed,) = [it["payload"] for it in live if it["type"] == "complete" and "step_id" in it["payload"]]
    run = await server.snapshot(run_id)
    step = dict(run["steps"][0])
    assert (step["cached"], step["tokens_used"]) == (completed["cached"], completed["tokens_used"])
    assert run["total_tokens"] == step["tokens_used"]
    return step


async def test_second_run_is_answered_from_the_cache(server: LiveServer, model: GatedModel) -> None:
    """The same agent on the same documents: no model is asked, no token spent, and everybody can see why."""
    first = await server.start_run([BA])
    model.finish(BA)
    assert not (await step_of(server, first))["cached"]
    again = await server.start_run([BA])
    step = await step_of(server, again)
    assert (step["cached"], step["tokens_used"]) == (True, 0)
    assert step["progress_label"] == "Answered from the cache: the same was asked before"
    assert (await server.http.get("/api/v1/usage")).json()["spent"] == 100


@pytest.mark.parametrize("way", ["rest", "client"])
async def test_run_without_cache_asks_the_model(server: LiveServer, model: GatedModel, way: str) -> None:
    """``use_cache`` false is obeyed, and belongs to what makes two requests with one run id equal."""
    first = await server.start_run([BA])
    model.finish(BA)
    await step_of(server, first)
    if way == "rest":
        run_id = await server.start_run([BA], use_cache=False)
    else:
        async with RunClient(server.url, server.token) as client:
            run_id = (await client.start_run([BA], use_cache=False)).id
    model.finish(BA)
    assert not (await step_of(server, run_id))["cached"]
    body = {"agents_selected": [BA], "run_id": run_id, "use_cache": True}
    conflict = await server.http.post(f"{server.project}/agent-runs", json=body)
    assert (conflict.status_code, conflict.json()["error"]) == (409, "RUN_ID_CONFLICT")


@pytest.mark.parametrize("settings", [{}, {**COSTLY, "cache_days": 0.0}], ids=["free model", "0 days"])
async def test_run_where_nothing_is_cached_asks_the_model(
    tmp_path: Path, model: GatedModel, settings: dict[str, Any]
) -> None:
    """Neither where the model costs nothing nor where the cache is switched off."""
    async with live_server(tmp_path, model, **settings) as server:
        for _ in range(2):
            run_id = await server.start_run([BA])
            model.finish(BA)
            assert not (await step_of(server, run_id))["cached"]


async def answers_kept(server: LiveServer) -> int:
    """How many answers the store has for the local tenant."""

    async def read(session: Session) -> int:
        row = await session.fetch_one("SELECT COUNT(*) AS kept FROM {tenant}.answers")
        assert row is not None
        return int(row["kept"])

    return await server.home.store._databases.read(server.home.user.tenant, read)


async def test_answers_that_are_too_old_are_deleted_with_old_logs(tmp_path: Path, model: GatedModel) -> None:
    """The chore of a server deletes what its settings no longer keep, though nothing is asked of it."""
    async with live_server(tmp_path, model, **COSTLY) as server:
        run_id = await server.start_run([BA])
        model.finish(BA)
        await step_of(server, run_id)
        assert await answers_kept(server) == 1
    async with live_server(tmp_path, model, **COSTLY, cache_days=1e-9) as server, asyncio.timeout(30):
        while await answers_kept(server):
            await asyncio.sleep(0.005)
