"""The whole story: from the link in a mail to what an agent found out."""

from __future__ import annotations

import re
from pathlib import Path

from live_server import LiveServer
from playwright.sync_api import Page, expect
from project_page import ALL, ARTIFACTS_URL, ProjectPage
from staged_model import Stage


def test_story_from_sign_in_to_artifact(server: LiveServer, page: Page, stage: Stage, tmp_path: Path) -> None:
    """Sign in by link, add a document, choose agents, watch them one after another, read what they left behind."""
    page.clock.install()
    page.goto(server.call(server.home.sign_in_link(server.url)))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/projects/[^/]+$"))
    (tmp_path / "billing.md").write_text("REQ-2: An invoice has a due date.")
    page.get_by_label("Add documents").set_input_files(tmp_path / "billing.md")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#documents").get_by_role("link", name="billing.md")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).to_be_focused()
    project = ProjectPage(page, server.url, server.home.project_id)
    project.start(*ALL)
    expect(project.part("done")).to_have_text("0 of 3 · 0 %")
    for done, agent_type in enumerate(ALL, 1):
        stage.progress(agent_type, 50, "Reading billing.md")
        expect(project.card(agent_type).locator(".subtitle")).to_have_text("Reading billing.md")
        if agent_type == ALL[-1]:
            project.freeze_time()  # a success leads away
        stage.finish(agent_type)
        project.expect_card(agent_type, "complete")
        expect(project.part("done")).to_contain_text(f"{done} of 3")
    expect(project.toast).to_be_visible()
    project.let_pass(1_500)
    expect(page).to_have_url(ARTIFACTS_URL)
    page.get_by_role("link", name="Coverage matrix").click()
    expect(page.locator("#content")).to_contain_text("REQ-1")
