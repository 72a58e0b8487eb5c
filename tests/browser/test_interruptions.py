"""A run on the page that waits, stalls, is cancelled, or does another one again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from elsewhere import cancel_run, retry_run
from live_server import LiveServer
from playwright.sync_api import expect
from project_page import ARTIFACTS_URL, ProjectPage
from staged_model import Stage

from orchestrator import progress

AGENTS = ("ba_consultant", "qa_consultant")
LONG_WAIT_S = 600.0
CACHING = {"retry_delays_s": (0.05,), "llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "staged"}
"""Answers are only kept of a model that costs something; nobody asks that one, for the stage stands in for it."""


@pytest.fixture
def server_settings() -> dict[str, Any]:
    """A failed step waits for very long."""
    return {"retry_delays_s": (LONG_WAIT_S,)}


def test_waiting_step_says_until_when_and_why_and_stands_still(project_page: ProjectPage, stage: Stage) -> None:
    """Nothing spins while nothing is done; who opens the page meanwhile sees the same."""
    project_page.start(*AGENTS)
    stage.progress("ba_consultant", 40, "Reading")
    stage.fail("ba_consultant", "The model does not answer.")
    for _ in range(2):
        card = project_page.expect_card("ba_consultant", "running")
        expect(card.locator(".chip")).to_have_text("Waiting")
        expect(card.locator(".subtitle")).to_have_text(
            re.compile(r"^Attempt 1 failed, trying again at \d+:\d\d:\d\d( UTC|\s.M)?: The model does not answer\.$")
        )
        expect(card.locator(".icon")).to_have_css("animation-name", "none")
        project_page.page.reload()


def test_stalled_step_says_so_until_it_goes_on(
    project_page: ProjectPage, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chip tells that nothing moves, and is gone with the next progress."""
    monkeypatch.setattr(progress, "STALLED_S", 0.5)
    project_page.start("ba_consultant")
    card = project_page.expect_card("ba_consultant", "running")
    expect(card.locator(".chip")).to_have_text("Stalled")
    monkeypatch.setattr(progress, "STALLED_S", 60.0)
    stage.progress("ba_consultant", 40, "Reading")
    expect(card.locator(".chip")).to_have_text("Running")
    expect(card.locator(".subtitle")).to_have_text("Reading")


def test_run_cancelled_elsewhere_says_so(server: LiveServer, project_page: ProjectPage, stage: Stage) -> None:
    """Its unfinished cards are cancelled, the finished one stays, and nobody is led away; later it looks the same."""
    run_id = project_page.start(*AGENTS, "automation_consultant")
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
    cancel_run(server, run_id)
    for _ in range(2):
        expect(project_page.banner).to_have_text("The run was cancelled.")
        expect(project_page.page.locator("#run [data-part=status]")).to_have_text("Cancelled")
        project_page.expect_card("ba_consultant", "complete")
        for agent_type, why in (("qa_consultant", "not finished"), ("automation_consultant", "not started")):
            card = project_page.expect_card(agent_type, "error")
            expect(card.locator(".chip")).to_have_text("Cancelled")
            expect(card.locator(".subtitle")).to_have_text(f"{why}: the run was cancelled")
        project_page.page.reload()


def test_retried_run_shows_what_it_kept(server: LiveServer, project_page: ProjectPage, stage: Stage) -> None:
    """The card of the step that was done before is complete at once, and says where its artifact comes from."""
    run_id = project_page.start(*AGENTS)
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
    cancel_run(server, run_id)
    project_page.open(retry_run(server, run_id))
    card = project_page.expect_card("ba_consultant", "complete")
    expect(card.locator(".subtitle")).to_have_text("Kept from the run before.")
    project_page.expect_card("qa_consultant", "running")
    stage.finish("qa_consultant")
    expect(project_page.page).to_have_url(ARTIFACTS_URL)


@pytest.mark.parametrize("server_settings", [CACHING], ids=["caching"])
def test_step_tried_again_and_answer_from_the_cache_say_so(project_page: ProjectPage, stage: Stage) -> None:
    """The second attempt has its badge and its place on the timeline; what was answered before is marked as such."""
    project_page.start(*AGENTS)
    stage.finish("ba_consultant")
    stage.fail("qa_consultant", "no answer")
    card = project_page.expect_card("qa_consultant", "running")
    expect(card.locator(".badges")).to_contain_text("Attempt 2")
    track = project_page.part("timeline").locator("li", has_text="QA consultant")
    expect(track.locator("rect")).to_have_count(2)
    expect(track).to_contain_text(re.compile(r"Attempt 1 · \d:\d\d · failed: no answer"))
    expect(track).to_contain_text(re.compile(r"Attempt 2 · \d:\d\d · running"))
    stage.fail("qa_consultant", "no answer")
    expect(project_page.banner).to_be_visible()
    project_page.start(*AGENTS)
    expect(project_page.expect_card("ba_consultant", "complete").locator(".badges")).to_contain_text("Cached")
    project_page.expect_card("qa_consultant", "running")
