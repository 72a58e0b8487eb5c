"""What axe-core finds wrong with every page and state, light and dark: nothing. https://github.com/dequelabs/axe-core"""

from __future__ import annotations

from typing import Any

import pytest
from embedding import PEERS
from live_server import LiveServer
from playwright.sync_api import Page, expect
from project_page import ALL, ARTIFACTS_URL, ProjectPage
from proxy import Proxy
from staged_model import Stage

AXE = (PEERS / "axe-core" / "axe.min.js").read_text
CHECK = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}"""
"""With axe's own choice of rules: WCAG 2.2 A and AA, and its best practices."""


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Without our policy, which keeps axe from trying styles."""
    return {**browser_context_args, "bypass_csp": True}


def violations(page: Page) -> dict[str, list[str]]:
    """What is wrong, for each colour scheme in which anything is."""
    found = {}
    page.wait_for_load_state()
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(AXE())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if wrong := page.evaluate(CHECK):
            found[scheme] = wrong
    return found


@pytest.mark.usefixtures("provoked")
def test_pages_around_a_run_have_no_violations(server: LiveServer, project_page: ProjectPage, stage: Stage) -> None:
    """The project without a run, documents, sign-in, an error, the reference of the API."""
    page = project_page.page
    assert violations(page) == {}
    for path in ("/sign-in", "/docs", "/projects/00000000-0000-4000-8000-000000000000"):
        page.goto(f"{server.url}{path}")
        assert (path, violations(page)) == (path, {})
    project_page.open()
    page.locator("#documents li a").first.click()
    expect(page.get_by_role("heading", name="shop.md")).to_be_visible()
    assert violations(page) == {}


@pytest.mark.usefixtures("provoked")
def test_run_in_every_state_has_no_violations(
    server: LiveServer, sign_in: None, proxy: Proxy, page: Page, stage: Stage
) -> None:
    """Queued, running, reconnecting, complete, failed, and the artifacts after a success."""
    project = ProjectPage(page, proxy.url, server.home.project_id).open()
    project.start(*ALL)
    stage.progress("ba_consultant", 40, "Reading")
    expect(project.card("ba_consultant")).to_have_attribute("progress", "40")
    expect(project.card("ba_consultant")).to_be_visible()
    assert violations(page) == {}
    proxy.cut()
    expect(project.connection).to_have_attribute("data-connection", "reconnecting")
    assert violations(page) == {}
    proxy.heal()
    stage.finish("ba_consultant")
    stage.fail("qa_consultant", "no answer")
    expect(project.banner).to_be_visible()
    assert violations(page) == {}
    project.start("ba_consultant")
    stage.finish("ba_consultant")
    expect(page).to_have_url(ARTIFACTS_URL)
    assert violations(page) == {}
