"""How long runs usually take: the range, the endpoint, and what the page says of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from live import LiveServer
from page_stage import seed, show
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures
from store_material import complete, done, new_run, running

from realtime.durations import DurationRange, usual_range

PARAMETERS = {"agents_selected": "ba_consultant,qa_consultant", "pipeline_mode": "sequential"}


@pytest.mark.parametrize(
    ("durations", "low_s", "high_s"),
    [
        ([], None, None),
        ([60, 120], None, None),
        ([120, 60, 180], 90, 150),
        ([10, 20, 30, 40, 1000], 20, 40),
        ([7.5] * 20, 7.5, 7.5),
    ],
)
def test_usual_range_is_the_middle_half(durations: list[float], low_s: float | None, high_s: float | None) -> None:
    """From three runs on, in any order, one that took very long does not stretch it."""
    assert usual_range(durations) == DurationRange(samples=len(durations), low_s=low_s, high_s=high_s)


async def ask(server: LiveServer, **changed: str) -> tuple[int, Any]:
    """Status and body of the endpoint's answer."""
    answer = await server.http.get(f"{server.project}/run-durations", params={**PARAMETERS, **changed})
    return answer.status_code, answer.json()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"agents_selected": "ba_consultant,dancer"}, "INVALID_AGENT_TYPE"),
        ({"agents_selected": ""}, "NO_AGENTS_SELECTED"),
        ({"agents_selected": "ba_consultant,ba_consultant"}, "DUPLICATE_AGENT"),
        ({"pipeline_mode": "spiral"}, "INVALID_PIPELINE_MODE"),
    ],
)
async def test_durations_of_a_run_that_cannot_be_are_refused(
    shared: LiveServer,  # noqa: F811
    changed: dict[str, str],
    code: str,
) -> None:
    """What could not be started is told so with the code that starting it has."""
    status, body = await ask(shared, **changed)
    assert (status, body["error"]) == (400, code)


@pytest.mark.asyncio(loop_scope="module")
async def test_durations_are_told_from_three_runs_on(shared: LiveServer) -> None:  # noqa: F811
    """By the endpoint, and by the page of such a run; before that, neither says anything."""
    agents = ("ba_consultant", "qa_consultant")
    for completed in range(3):
        assert await ask(shared) == (200, {"samples": completed, "low_s": None, "high_s": None})
        run = new_run(shared.home.project_id, agents)
        await seed(shared, running(run), complete(run), running(run, 1), complete(run, 1), done(run), run=run)
    status, told = await ask(shared)
    assert (status, told["samples"]) == (200, 3)
    assert 0 <= told["low_s"] <= told["high_s"] < 60
    page = await show(shared, run.id)
    assert page.data["expected"] == told
    assert not page.part("expected-row").hidden
    assert page.part("expected").text == "usually about 5 s"
    assert page.root.one(id="start-expected").text == ""


@pytest.mark.asyncio(loop_scope="module")
async def test_page_of_a_run_of_an_agent_that_is_gone_expects_nothing(shared: LiveServer) -> None:  # noqa: F811
    """A run from before the catalogue changed is shown like any other, its agent by its type."""
    run = new_run(shared.home.project_id, (f"agent-{uuid4().hex}",))
    page = await show(shared, (await seed(shared, running(run), run=run)).id)
    assert page.data["expected"] == {"samples": 0, "low_s": None, "high_s": None}
    assert page.part("expected-row").hidden
    assert page.cards[0]["name"] == run.agents_selected[0]
