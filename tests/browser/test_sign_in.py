"""Signing in and out, with pages that need no script."""

from __future__ import annotations

import re

from live_server import LiveServer
from playwright.sync_api import BrowserContext, Page, expect
from project_page import ProjectPage


def test_sign_in_by_link_confirmed_shows_the_project(server: LiveServer, page: Page, complaints: list[str]) -> None:
    """Opening the link does not spend it; confirming signs in."""
    link = server.call(server.home.sign_in_link(server.url))
    page.goto(link)
    page.reload()
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/projects/"))
    expect(page.get_by_role("button", name="Start run")).to_be_enabled()
    assert complaints == []


def test_sign_in_by_link_used_twice_is_refused_with_a_reason(server: LiveServer, page: Page, provoked: None) -> None:
    """A link works once; whoever comes second is told."""
    link = server.call(server.home.sign_in_link(server.url))
    for _ in range(2):
        page.goto(link)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page).not_to_have_url(link)
    expect(page.get_by_role("alert")).to_contain_text("used up")


def test_sign_in_by_token_pasted_shows_the_project(server: LiveServer, page: Page) -> None:
    """The token that a terminal printed is enough."""
    page.goto(f"{server.url}/")
    page.get_by_label("Paste a token").fill(server.home.issue_token())
    page.get_by_role("button", name="Sign in with token").click()
    expect(page).to_have_url(re.compile("/projects/"))


def test_sign_in_by_token_wrong_says_so(server: LiveServer, page: Page, provoked: None) -> None:
    """A token of somebody else's server is refused in words."""
    page.goto(f"{server.url}/sign-in")
    page.get_by_label("Paste a token").fill("nonsense")
    page.get_by_role("button", name="Sign in with token").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")


def test_project_opened_signed_out_leads_to_sign_in_and_back(server: LiveServer, page: Page) -> None:
    """Every page of a project does: itself, a run, the artifacts; the field has the focus, and leads back there."""
    project = f"{server.url}/projects/{server.home.project_id}"
    for address in (project, f"{project}/runs/00000000-0000-4000-8000-000000000000", f"{project}/artifacts"):
        page.goto(address)
        expect(page).to_have_url(re.compile(r"/sign-in\?next="))
        expect(page.get_by_label("Paste a token")).to_be_focused()
    page.get_by_label("Paste a token").fill(server.home.issue_token())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{project}/artifacts")


def test_sign_out_leads_back_to_sign_in(
    server: LiveServer, project_page: ProjectPage, context: BrowserContext, provoked: None
) -> None:
    """After it, the project is closed; the browser's other tabs say so, and claim nothing any more."""
    project_page.start("ba_consultant")
    page = context.new_page()
    page.goto(f"{server.url}/projects/{server.home.project_id}/artifacts")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Runcast")).to_be_visible()
    notices = project_page.page.locator("#notices .notice p")
    expect(notices).to_have_text(["You have signed out in another tab. Sign in"])
    expect(project_page.connection).to_have_attribute("data-connection", "closed")
    project_page.cancel()
    expect(notices.last).to_have_text("The run was not cancelled. You are no longer signed in. Sign in")
    expect(notices.last.get_by_role("link")).to_have_attribute("href", re.compile(r"^/sign-in\?next=.+%2Fruns%2F"))
    page.goto(f"{server.url}/")
    expect(page).to_have_url(re.compile("/sign-in"))
