"""Runs in every state that the project page can show, and the page as the server renders it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from html_tree import Element, read_html
from live import LiveServer
from msgspec.structs import replace
from store_material import accept_claimed, complete, done, failed, new_run, running

from orchestrator.events import Fact, RunEnded
from orchestrator.records import NewRun

HOSTILE = "</script><script>alert(1)</script>\"'&\u2028<b>"

STATES: dict[str, Callable[[NewRun], Sequence[Fact]]] = {
    "queued": lambda _: (),
    "running": lambda run: (running(run), complete(run, tokens=1200), running(run, 1), running(run, 1, 40)),
    "waiting": lambda run: (running(run, 0, 30), _waiting(run)),
    "complete": lambda run: (
        *(fact for step in range(3) for fact in (running(run, step), complete(run, step, tokens=7))),
        done(run),
    ),
    "failed": lambda run: (
        running(run),
        failed(run),
        *(_not_started(run, step) for step in (1, 2)),
        RunEnded.failure(run.id, "STEP_FAILED", f"{run.agents_selected[0]} failed: {HOSTILE}"),
    ),
    "cancelled": lambda run: (
        running(run),
        *(failed(run, step, "STEP_CANCELLED") for step in range(3)),
        RunEnded.cancellation(run.id, run.started_by),
    ),
}
"""What has happened to a run of three agents in each state."""


def _waiting(run: NewRun) -> Fact:
    return replace(running(run, 0, 30), retry_at="2026-01-02T03:04:05.000Z", reason=HOSTILE)


def _not_started(run: NewRun, step: int) -> Fact:
    message = f"not started: {run.agents_selected[0]} failed"
    return replace(failed(run, step, "STEP_CANCELLED"), message=message)


class ShownPage:
    """The project page as it comes, parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = read_html(text)
        self.run = self.root.one(id="run")
        self.data: dict[str, Any] = json.loads(self.root.one("script", id="page-data").text)

    def part(self, name: str) -> Element:
        """That part of the run's section."""
        return self.run.one(data_part=name)

    @property
    def cards(self) -> list[Element]:
        """The cards of the run."""
        return self.run.all("agent-status-card")

    @property
    def title(self) -> str:
        """The page's title."""
        return self.root.one("title").text

    @property
    def icon(self) -> str | None:
        """Where the page's icon is."""
        return self.root.one("link", id="icon")["href"]


async def seed(server: LiveServer, *facts: Fact, run: NewRun | None = None) -> NewRun:
    """A run of all agents, in the local project, to which this has happened; nobody works on it."""
    run = run or new_run(server.home.project_id)
    token, tenant = uuid4().hex, server.home.user.tenant
    await accept_claimed(server.home.store, tenant, run, token)
    await server.home.store.runs.save(tenant, run.id, token, facts)
    return run


async def seed_state(server: LiveServer, state: str) -> NewRun:
    """A run in that one of `STATES`."""
    run = new_run(server.home.project_id)
    return await seed(server, *STATES[state](run), run=run)


async def show(server: LiveServer, run_id: str | None = None, token: str | None = None) -> ShownPage:
    """The project's page, or that run's, for whoever has the token."""
    where = "" if run_id is None else f"/runs/{run_id}"
    headers = {"Authorization": f"Bearer {token or server.token}", "Accept": "text/html"}
    answer = await server.http.get(f"/projects/{server.home.project_id}{where}", headers=headers)
    assert answer.status_code == 200, answer.text
    return ShownPage(answer.text)
