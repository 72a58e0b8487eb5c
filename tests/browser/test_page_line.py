"""What the page claims while its line is lost, its session is over, or an answer has not arrived."""

from __future__ import annotations

import re
from pathlib import Path

from elsewhere import start_run
from embedding import serve_at
from live_server import LiveServer, session_of
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from project_page import ARTIFACTS_URL, ProjectPage
from proxy import Proxy
from staged_model import Stage

UPLOAD_MS = 10_000


def expect_motion(card: Locator, state: str) -> None:
    """The card's spinner is `running` or `paused`."""
    expect(card.locator(".icon")).to_have_css("animation-play-state", state)


def lose_answers(page: Page, url: str) -> None:
    """What is posted there arrives, and its answer does not, until it is unrouted."""

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(url, lose)


def test_list_without_a_run_says_that_its_line_is_lost_and_begins_again_after_signing_in(
    server: LiveServer, sign_in: None, proxy: Proxy, page: Page, context: BrowserContext, stage: Stage, provoked: None
) -> None:
    """Nothing moves for what is said of the line; a start whose answer was lost gives the run while it goes on, and
    another once that has ended."""
    first = start_run(server, "ba_consultant")
    project = ProjectPage(page, proxy.url, server.home.project_id).open()
    project.mark()
    rows, line, refusal = (
        page.locator(f"#runs {part}") for part in ("li", "[data-part=line]", "[data-part=refusal]")
    )
    expect(line).to_have_attribute("data-connection", "live")
    expect(line).to_be_hidden()
    before = rows.bounding_box()
    proxy.cut()
    expect(line).to_have_text("Reconnecting…")
    expect(project.said).to_contain_text("The connection is lost")
    assert rows.bounding_box() == before
    proxy.heal()
    expect(project.said).to_contain_text("The connection is back")
    expect(line).to_be_hidden()

    context.clear_cookies()
    server.stop()
    server.start()
    expect(refusal).to_have_text("You are no longer signed in. Sign in")
    assert rows.bounding_box() == before
    expect(refusal.get_by_role("link")).to_have_attribute("href", re.compile(r"^/sign-in\?next=%2Fprojects%2F[^%]+$"))
    context.add_cookies([session_of(server)])
    lose_answers(page, "**/agent-runs")
    project.choose("qa_consultant")
    project.start_button.click()
    expect(page.locator("#start-error")).to_contain_text("could not be reached")
    expect(rows).to_have_count(2)
    expect(refusal).to_be_hidden()
    stage.finish("ba_consultant")
    expect(page.locator(f"#runs [data-run-id='{first}'] .chip")).to_have_text("Completed")

    lost = rows.first.get_attribute("data-run-id")
    assert lost is not None
    stage.finish("qa_consultant")
    expect(rows.first.locator(".chip")).to_have_text("Completed")
    page.unroute("**/agent-runs")
    assert project.start("qa_consultant") != lost
    project.expect_card("qa_consultant", "running")
    expect(rows).to_have_count(3)
    project.expect_unreloaded()


def test_success_leads_away_only_once_what_is_uploaded_has_arrived(
    server: LiveServer, project_page: ProjectPage, stage: Stage, tmp_path: Path
) -> None:
    """An upload over a slow line is not broken off; the list goes on meanwhile, and the way is offered at once."""
    page, held = project_page.page, list[Route]()
    page.clock.install()
    project_page.open().start("ba_consultant")
    page.route(
        "**/documents", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    (tmp_path / "billing.md").write_text("REQ-2: An invoice has a due date.")
    page.get_by_label("Add documents").set_input_files(tmp_path / "billing.md")
    with page.expect_request("**/documents"):
        page.get_by_role("button", name="Upload").click()
    project_page.freeze_time()
    stage.finish("ba_consultant")
    expect(project_page.toast.get_by_role("link")).to_have_attribute("href", ARTIFACTS_URL)
    project_page.let_pass(UPLOAD_MS)
    other = start_run(server, "qa_consultant")
    expect(page.locator(f"#runs [data-run-id='{other}']")).to_have_count(1)
    for route in held:
        route.continue_()
    expect(page.locator("#documents").get_by_role("link", name="billing.md")).to_be_visible()
    expect(project_page.toast).to_be_visible()
    project_page.let_pass(1_500)
    expect(page).to_have_url(ARTIFACTS_URL)
    documents = server.home.backend.runs.list_documents(server.home.user.tenant, server.home.project_id)
    assert [document.path for document in server.call(documents)] == ["billing.md", "shop.md"]


def test_signing_out_is_told_to_other_tabs_once_it_is_done_and_nothing_moves_after(
    server: LiveServer, project_page: ProjectPage, context: BrowserContext, provoked: None
) -> None:
    """Where it fails nobody is told; afterwards no card pretends that the run is followed, here or in other pages."""
    run_id = project_page.start("ba_consultant")
    card = project_page.expect_card("ba_consultant", "running")
    expect_motion(card, "running")
    elsewhere = context.new_page()
    script = """import '/static/agent-run.js';
        import { RunClient } from '/static/run-client.js';
        document.querySelector('agent-run').client = globalThis.client = new RunClient();"""
    serve_at(elsewhere, server.url, script, body=f'<agent-run run-id="{run_id}"></agent-run>')
    expect(elsewhere.locator("agent-run")).to_have_attribute("connection", "live")
    expect_motion(elsewhere.locator("agent-status-card"), "running")
    elsewhere.evaluate("client.close()")
    expect(elsewhere.locator("agent-run")).to_have_attribute("connection", "closed")
    expect_motion(elsewhere.locator("agent-status-card"), "paused")

    other = ProjectPage(context.new_page(), server.url, server.home.project_id).open()
    sign_out, asked = other.page.get_by_role("button", name="Sign out"), list[str]()

    def fail(route: Route) -> None:
        asked.append(route.request.resource_type)
        route.abort() if len(asked) == 1 else route.fulfill(status=503)

    other.page.route("**/sign-out", fail)
    sign_out.click()
    expect(sign_out).to_have_count(0)
    assert asked == ["fetch", "document"]
    other.page.unroute("**/sign-out")
    other.open()
    expect(project_page.connection).to_have_text("Live")
    sign_out.click()
    expect(other.page).to_have_url(f"{server.url}/sign-in")
    expect(project_page.page.locator("#notices")).to_contain_text("You have signed out in another tab. Sign in")
    expect(project_page.connection).to_be_hidden()
    expect_motion(card, "paused")
