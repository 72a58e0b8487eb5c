"""What the reviews of the story found: each finding must stay mended here, too. Those of the page are in browser/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live import ALL_AGENTS, GatedModel, LiveServer, live_server

from orchestrator.errors import ModelError
from realtime.asgi_outlet import AsgiOutlet
from realtime.outlet import LIMIT_BYTES

DOCS = Path(__file__).parents[2] / "docs"


async def test_m1_failed_step_ends_the_stream_with_an_error(server: LiveServer, model: GatedModel) -> None:
    """M-1: a step whose attempts are used up ends the run, and the terminal event says that it is an error."""
    run_id = await server.start_run()
    for _ in range(4):
        model.fail("ba_consultant", ModelError("The model went away."))
    last = (await server.watched(run_id))[-1]["payload"]
    assert (last["all_done"], last["error"], last["error_code"]) == (True, True, "STEP_FAILED")
    assert "The model went away." in last["message"]


async def test_m1_exceeded_budget_ends_the_stream_with_an_error(tmp_path: Path, model: GatedModel) -> None:
    """M-1: a budget that is used up in the middle of a run ends it, and the terminal event says so."""
    async with live_server(tmp_path / "home", model, monthly_tokens=50) as server:
        run_id = await server.start_run(["ba_consultant", "qa_consultant"])
        model.finish("ba_consultant")
        last = (await server.watched(run_id))[-1]["payload"]
    assert (last["all_done"], last["error"], last["error_code"]) == (True, True, "BUDGET_EXCEEDED")


@pytest.mark.parametrize("mode", ["sequential", "parallel"])
async def test_m1_unexpected_exception_ends_the_stream_with_an_error(
    server: LiveServer, model: GatedModel, mode: str
) -> None:
    """M-1: an exception that nobody foresaw ends the run as well, and tells nothing of the inside."""
    run_id = await server.start_run(["ba_consultant"], pipeline_mode=mode)
    for _ in range(4):
        model.fail("ba_consultant", KeyError("secret of the inside"))
    last = (await server.watched(run_id))[-1]["payload"]
    assert (last["all_done"], last["error"]) == (True, True)
    assert "secret of the inside" not in json.dumps(last)


async def test_m1_failure_leaves_no_step_open(server: LiveServer, model: GatedModel) -> None:
    """M-1: when a run ends by a failure, each of its steps has ended, too: nobody looks at a card for ever."""
    run_id = await server.start_run()
    for _ in range(4):
        model.fail("ba_consultant", ModelError("no"))
    await server.watched(run_id)
    run = await server.snapshot(run_id)
    assert [step["status"] for step in run["steps"]] == ["failed", "cancelled", "cancelled"]
    assert run["steps"][1]["error_message"] == "not started: ba_consultant failed"
    assert [step["agent_type"] for step in run["steps"]] == ALL_AGENTS


async def test_l3_what_waits_for_a_viewer_is_bounded() -> None:
    """L-3: a viewer that takes nothing costs a bounded number of bytes, whatever is sent to it."""
    outlet: AsgiOutlet[str] = AsgiOutlet(lambda page: [event.text for event in page.events])
    for _ in range(4 * LIMIT_BYTES // 1024):
        outlet.send("x" * 1024)
    assert outlet.overflowed
    assert not outlet.ready
    outlet.finish()
    assert sum([len(message) async for message in outlet]) <= LIMIT_BYTES + 1024


async def test_l4_documented_path_is_the_one_that_is_served(server: LiveServer) -> None:
    """L-4: the path of the SSE endpoint in the documents is the path in the routes."""
    path = "/api/v1/events/agent-runs/{run_id}"
    routes = {str(rule).replace("<", "{").replace(">", "}") for rule in server.home.app.url_map.iter_rules()}
    assert path in routes
    assert f"GET {path}" in (DOCS / "protocol.md").read_text()
    named = [line for file in DOCS.glob("*.md") for line in file.read_text().splitlines() if "api/v1/events/" in line]
    assert named
    assert all("api/v1/events/agent-runs/" in line for line in named)
