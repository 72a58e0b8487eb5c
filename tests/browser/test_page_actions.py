"""What can be done with a run on the page, and who may only look."""

from __future__ import annotations

import re

import pytest
from elsewhere import run_once
from live_server import VIEWER, LiveServer, member, session_by
from playwright.sync_api import BrowserContext, Page, expect
from project_page import ARTIFACTS_URL, RUN_URL, ProjectPage
from staged_model import Stage

from realtime.roles import Role

AGENTS = ("ba_consultant", "qa_consultant")


def test_run_cancelled_then_retried_by_button_is_followed_on(
    project_page: ProjectPage, stage: Stage, provoked: None
) -> None:
    """Cancelling asks once more, and no double click answers; the new run is followed on, and keeps what was done."""
    page = project_page.page
    page.clock.install()
    first = project_page.open().start(*AGENTS)
    project_page.mark()
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
    cancel, retry = project_page.part("cancel"), project_page.part("retry")
    expect(retry).to_be_hidden()
    project_page.freeze_time()  # what follows is to be one click, however long it takes
    cancel.dblclick()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(cancel).to_have_text("Really cancel?")
    page.locator("#run-title").click()
    expect(cancel).to_have_text("Cancel run")
    page.clock.resume()
    project_page.cancel()
    expect(project_page.banner).to_have_text("The run was cancelled.")
    expect(project_page.said).to_contain_text("QA consultant: cancelled")
    expect(project_page.connection).to_be_hidden()
    expect(cancel).to_be_hidden()
    expect(page.locator("#run-title")).to_be_focused()
    page.route("**/retry", lambda route: route.abort())
    retry.click()
    expect(page.locator("#notices")).to_contain_text("It is not known whether the run was started again")
    expect(retry).to_be_focused()
    page.unroute("**/retry")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#run-title")).to_be_focused()
    retry.click()
    page.wait_for_function("first => !location.pathname.endsWith(first)", arg=first)
    expect(page).to_have_url(RUN_URL)
    expect(project_page.connection).to_have_text("Live")
    expect(project_page.banner).to_be_hidden()
    expect(page.locator("#run-title")).to_be_focused()
    expect(project_page.expect_card("ba_consultant", "complete").locator(".subtitle")).to_contain_text("Kept from")
    project_page.expect_card("qa_consultant", "running")
    expect(cancel).to_be_enabled()
    expect(cancel).to_have_text("Cancel run")
    project_page.expect_unreloaded()
    stage.finish("qa_consultant")
    expect(page).to_have_url(ARTIFACTS_URL)


def test_cancel_that_fails_is_said_and_can_be_asked_again(
    project_page: ProjectPage, stage: Stage, provoked: None
) -> None:
    """An error is shown, and the button is there for another attempt."""
    page = project_page.page
    project_page.start("ba_consultant")
    page.route("**/cancel", lambda route: route.abort())
    project_page.cancel()
    expect(page.locator("#notices")).to_contain_text("It is not known whether the run was cancelled")
    expect(project_page.part("cancel")).to_be_enabled()
    expect(project_page.part("cancel")).to_be_focused()
    page.unroute("**/cancel")
    project_page.cancel()
    expect(project_page.banner).to_have_text("The run was cancelled.")


def test_viewer_sees_the_run_refreshed_and_is_told_so(
    server: LiveServer, project_page: ProjectPage, context: BrowserContext, viewer: str, stage: Stage
) -> None:
    """Who may see the run but not watch it gets its state to its end, even in a hidden tab, and cannot act on it."""
    page = project_page.page
    run_id = project_page.start(*AGENTS)
    stage.progress("ba_consultant", 40, "Reading")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "40")
    page.goto("about:blank")
    context.add_cookies([session_by(viewer)])
    page.clock.install()
    project_page.freeze_time()  # before anything is refreshed
    project_page.allow_notifications()
    project_page.open(run_id)
    expect(project_page.part("not-live")).to_contain_text("does not include watching live")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "40")
    for part in ("connection", "cancel", "retry"):
        expect(project_page.part(part)).to_be_hidden()
    expect(project_page.card("ba_consultant").locator(".icon")).to_have_css("animation-play-state", "running")
    expect(project_page.start_button).to_have_count(0)
    project_page.part("notify").click()
    expect(project_page.part("notify")).to_have_attribute("aria-pressed", "true")
    project_page.hide()
    stage.finish("ba_consultant")
    stage.fail("qa_consultant", "no answer")
    run = f"/api/v1/projects/{server.home.project_id}/agent-runs/{run_id}"
    page.evaluate("async run => { while ((await (await fetch(run)).json()).status !== 'failed'); }", run)
    project_page.expect_card("ba_consultant", "running")
    project_page.let_pass(30_000)
    expect(project_page.banner).to_have_text("QA consultant failed: no answer")
    project_page.expect_card("ba_consultant", "complete")
    expect(page).to_have_title(re.compile("^✗ Failed · "))
    assert [title for title, _ in page.evaluate("notified")] == [f"Failed: run {run_id[:8]}"]
    expect(project_page.part("not-live")).to_be_hidden()


@pytest.mark.parametrize("server_settings", [{"access_check_s": 0.2}], ids=["quick"])
def test_role_taken_away_while_watching_leaves_the_run_refreshed(
    server: LiveServer, page: Page, context: BrowserContext, viewer: str, stage: Stage
) -> None:
    """Who may no longer watch is told so where they are, and goes on to see the run."""
    member(server, VIEWER, Role.QA_AUTOMATION)
    context.add_cookies([session_by(viewer)])
    page.clock.install()
    project = ProjectPage(page, server.url, server.home.project_id).open()
    run_id = project.start("ba_consultant")
    project.mark()
    member(server, VIEWER, Role.VIEWER)
    expect(project.part("not-live")).to_be_visible()
    expect(project.connection).to_be_hidden()
    expect(project.banner).to_be_hidden()
    stage.progress("ba_consultant", 40, "Reading")
    run_once(server, run_id, lambda run: run.steps[0].progress_pct == 40)
    page.clock.run_for(6_000)
    expect(project.card("ba_consultant")).to_have_attribute("progress", "40")
    project.expect_unreloaded()


def test_list_of_runs_follows_a_run_started_elsewhere(
    server: LiveServer, project_page: ProjectPage, context: BrowserContext, stage: Stage
) -> None:
    """A new row on top, changed in place to its end; the row of the run that is shown says so."""
    other = ProjectPage(context.new_page(), server.url, server.home.project_id).open()
    rows = other.page.locator("#runs li")
    expect(other.page.locator("#runs [data-part=empty]")).to_be_visible()
    run_id = project_page.start(*AGENTS)
    row = other.page.locator(f"#runs li[data-run-id='{run_id}']")
    expect(row).to_contain_text("0 of 2")
    expect(row.locator(".chip")).to_have_text("Running")
    element = row.element_handle()
    stage.finish("ba_consultant")
    expect(row).to_contain_text("1 of 2")
    stage.fail("qa_consultant", "no answer")
    expect(row.locator(".chip")).to_have_text("Failed")
    assert element.evaluate("row => row.isConnected")
    expect(rows).to_have_count(1)
    expect(row.get_by_role("link")).to_have_attribute("href", f"/projects/{server.home.project_id}/runs/{run_id}")
    expect(row.locator("[aria-current]")).to_have_count(0)
    expect(project_page.page.locator("#runs [aria-current]")).to_have_count(1)
    project_page.start("ba_consultant")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("Failed")
    expect(project_page.page.locator("#runs li:first-child [aria-current]")).to_have_count(1)
