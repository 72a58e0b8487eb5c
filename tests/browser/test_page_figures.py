"""What a run will take and cost, as the page says it."""

from __future__ import annotations

import pytest
from elsewhere import complete_run
from live_server import LiveServer
from playwright.sync_api import expect
from project_page import ProjectPage
from staged_model import Stage


@pytest.mark.parametrize("server_settings", [{"llm_price_per_mtok": 3.0, "llm_currency": "EUR"}], ids=["priced"])
def test_duration_and_cost_are_told_once_they_are_known(
    server: LiveServer, project_page: ProjectPage, stage: Stage
) -> None:
    """Three past runs of the same choice say what to expect, before it is started and while it runs; tokens cost."""
    page = project_page.page
    expected = page.locator("#start-expected")
    for _ in range(3):
        complete_run(server, "ba_consultant")
    expect(expected).to_be_empty()
    project_page.start("ba_consultant")
    expect(expected).to_have_text("usually about 5 s")
    expect(project_page.part("expected")).to_have_text("usually about 5 s")
    expect(project_page.part("cost")).to_be_hidden()
    stage.fail("ba_consultant", "no answer")
    expect(project_page.banner).to_be_visible()
    project_page.start("qa_consultant", "ba_consultant")
    expect(project_page.part("expected")).to_be_hidden()
    expect(expected).to_be_empty()
    stage.finish("ba_consultant")
    expect(project_page.part("tokens")).to_have_text("1,204")
    expect(project_page.part("cost")).to_have_text("below 0.01 EUR")
