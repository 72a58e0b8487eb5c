"""The month's tokens over the wire: who may ask, what is told, and how runs end without any left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from live import GatedModel, LiveServer, live_server
from metric_values import count, labelled

from realtime.client import RunClient
from realtime.counts import SpendingCounts
from realtime.ports import UsageInfo, User

BA, QA = "ba_consultant", "qa_consultant"


@pytest.fixture
def model() -> GatedModel:
    """A model whose every answer takes 100 tokens."""
    return GatedModel()


@pytest.fixture
async def server(tmp_path: Path, model: GatedModel) -> AsyncIterator[LiveServer]:
    """A server whose tenants may spend 120 tokens a month: one answer, and another that crosses the line."""
    async with live_server(tmp_path, model, monthly_tokens=120, retry_delays_s=(0.0, 0.0)) as live:
        yield live


async def usage(server: LiveServer) -> dict[str, Any]:
    """What the local user is told."""
    answer = await server.http.get("/api/v1/usage")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def complete(server: LiveServer, model: GatedModel, *agents: str) -> list[dict[str, Any]]:
    """The log of a run of these agents, each answered at once."""
    run_id = await server.start_run(list(agents))
    model.finish(*agents)
    await server.watched(run_id)
    return await server.log(run_id)


async def test_usage_follows_calls_from_reservation_to_what_they_took(server: LiveServer, model: GatedModel) -> None:
    """Put aside while a call is under way, spent when it is over; what is left is less by both."""
    before = await usage(server)
    assert {**before, "month": "", "resets_at": ""} == {
        "month": "",
        "limit": 120,
        "spent": 0,
        "reserved": 0,
        "remaining": 120,
        "warning": False,
        "resets_at": "",
    }
    run_id = await server.start_run([BA])
    async with asyncio.timeout(30):
        await model.asked[BA].wait()
    during = await usage(server)
    assert (during["spent"], during["reserved"], during["remaining"]) == (0, 100, 20)
    model.finish(BA)
    await server.watched(run_id)
    after = await usage(server)
    assert (after["spent"], after["reserved"], after["remaining"], after["warning"]) == (100, 0, 20, True)


async def test_usage_resets_with_the_next_month(server: LiveServer) -> None:
    """The moment that is told is midnight UTC of the first day after the month that is told."""
    told = await usage(server)
    resets_at = datetime.fromisoformat(told["resets_at"])
    first = datetime.fromisoformat(f"{told['month']}-01T00:00:00+00:00")
    assert (resets_at.day, resets_at.hour, resets_at.minute, resets_at.second) == (1, 0, 0, 0)
    assert (resets_at.year * 12 + resets_at.month) - (first.year * 12 + first.month) == 1


async def test_usage_without_limit_has_no_remainder(tmp_path: Path, model: GatedModel) -> None:
    """Where nothing is limited, what is spent is told all the same, and nobody is warned."""
    async with live_server(tmp_path, model) as server:
        await complete(server, model, BA)
        told = await usage(server)
        assert (told["limit"], told["remaining"], told["spent"], told["warning"]) == (None, None, 100, False)


async def test_usage_is_the_callers_tenants_own(server: LiveServer, model: GatedModel) -> None:
    """Whoever is somebody of the tenant may ask, with or without a role; another tenant has spent nothing."""
    await complete(server, model, BA)
    accounts = server.home.store.accounts
    await accounts.ensure_tenant("globex")
    stranger = await accounts.ensure_user("globex", "lead@globex.example")
    tokens = {
        100: await server.user_with_role(None),
        0: server.tokens.issue(User(tenant="globex", id=stranger.id, email=stranger.email), 600),
    }
    async with httpx2.AsyncClient(base_url=server.url) as anybody:
        for spent, token in tokens.items():
            answer = await anybody.get("/api/v1/usage", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["spent"]) == (200, spent)
        refused = await anybody.get("/api/v1/usage")
    assert (refused.status_code, refused.json()["error"]) == (401, "NOT_AUTHENTICATED")


async def test_run_client_tells_the_usage(server: LiveServer, model: GatedModel) -> None:
    """Python programs get it as a struct."""
    await complete(server, model, BA)
    async with RunClient(server.url, server.token) as client:
        told = await client.usage()
    assert isinstance(told, UsageInfo)
    assert (told.limit, told.spent, told.reserved, told.remaining, told.warning) == (120, 100, 0, 20, True)


async def test_run_without_tokens_left_ends_with_the_reason(server: LiveServer, model: GatedModel) -> None:
    """The second agent crosses the line and completes; the third fails at once, and the run says why it ended."""
    log = await complete(server, model, BA, QA, "automation_consultant")
    completed = [event["payload"]["agent_type"] for event in log if "artifact_id" in event["payload"]]
    assert completed == [BA, QA]
    failed, ended = log[-2]["payload"], log[-1]["payload"]
    assert (failed["error_code"], failed["reason"]) == ("STEP_FAILED", "BUDGET_EXCEEDED")
    assert failed["message"].startswith("The 120 tokens for ")
    assert (ended["error"], ended["error_code"]) == (True, "BUDGET_EXCEEDED")
    attempts = [event for event in log if event["payload"].get("retry_at")]
    assert attempts == []
    assert (await usage(server))["spent"] == 200


async def test_start_without_tokens_left_is_402(server: LiveServer, model: GatedModel) -> None:
    """The refusal says how much was spent of how much, and when there is more; nothing was accepted."""
    await complete(server, model, BA, QA)
    refused = await server.http.post(f"{server.project}/agent-runs", json={"agents_selected": [BA]})
    assert (refused.status_code, refused.json()["error"]) == (402, "BUDGET_EXCEEDED")
    told = await usage(server)
    assert refused.json()["message"] == (
        f"The 120 tokens for {told['month']} are used up (200 spent); "
        f"they start anew on {told['resets_at'][:10]} at 00:00 UTC."
    )
    assert len((await server.http.get(f"{server.project}/agent-runs")).json()["runs"]) == 1


async def test_viewer_is_told_when_most_tokens_are_used(server: LiveServer, model: GatedModel) -> None:
    """From 80 % on, labels end with how much is used; before that they do not."""
    log = await complete(server, model, BA, QA)
    labels = {
        agent: [event["payload"]["progress_label"] for event in log if event["type"] == "running"
                and event["payload"]["agent_type"] == agent]
        for agent in (BA, QA)
    }  # fmt: skip
    assert not any("tokens used" in label for label in labels[BA])
    assert labels[QA][-1] == "Asking gated (83 % of this month's tokens used)"


def test_highest_share_is_that_of_the_month() -> None:
    """Who used most of another month's tokens has all of this month's; where nobody was looked at, it is none."""
    counts = SpendingCounts()
    assert counts.highest_share("2026-12") == 0
    counts.used("acme", "2026-11", 0.9)
    counts.used("globex", "2026-12", 0.3)
    counts.used("zeta", "2026-12", 0.2)
    assert (counts.highest_share("2026-12"), counts.highest_share("2026-11")) == (0.3, 0.9)
    counts.used("acme", "2026-12", 0.5)
    assert counts.highest_share("2026-12") == 0.5


async def test_spending_is_counted(server: LiveServer, model: GatedModel) -> None:
    """Tokens by agent, the tenant's share, its warning and every refusal have series; agents count from 0 on."""
    assert labelled(server, "tokens_spent_total") == {BA: 0, QA: 0, "automation_consultant": 0}
    assert count(server, "budget_used_ratio") == 0
    await complete(server, model, BA)
    assert labelled(server, "tokens_spent_total")[BA] == 100
    assert count(server, "budget_used_ratio") == pytest.approx(100 / 120)
    assert (count(server, "budget_warnings_total"), count(server, "budget_refusals_total")) == (1, 0)
    await complete(server, model, QA, BA)
    await server.http.post(f"{server.project}/agent-runs", json={"agents_selected": [BA]})
    assert count(server, "budget_used_ratio") == pytest.approx(200 / 120)
    assert (count(server, "budget_warnings_total"), count(server, "budget_refusals_total")) == (1, 2)
