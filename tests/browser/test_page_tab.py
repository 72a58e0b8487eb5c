"""The page in a tab that nobody looks at: its title, its icon, and the notification of a run's end."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from project_page import ProjectPage
from staged_model import Stage


def expect_icon(page: Page, name: str) -> None:
    """The tab has that icon."""
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile(f"/static/v-\\w+/{name}.svg$"))


def test_hidden_tab_tells_state_by_title_icon_and_notification(project_page: ProjectPage, stage: Stage) -> None:
    """Who looks elsewhere sees how far it is, and is told of the end while wishing so; who looks here is not."""
    page = project_page.page
    project_page.allow_notifications()
    project_page.open()
    expect(page).to_have_title(re.compile("^Runs · "))
    expect_icon(page, "icon")
    project_page.start("ba_consultant")
    expect(page).to_have_title(re.compile("^0 % · Running · "))
    expect_icon(page, "icon-running")
    notify = project_page.part("notify")
    expect(notify).to_have_attribute("aria-pressed", "false")
    notify.click()
    expect(notify).to_have_attribute("aria-pressed", "true")
    expect(notify).to_be_focused()
    stage.fail("ba_consultant", "no answer")
    expect(project_page.banner).to_be_visible()
    expect(notify).to_be_hidden()
    assert page.evaluate("notified") == []
    second = project_page.start("ba_consultant")
    project_page.hide()
    stage.progress("ba_consultant", 40, "Reading")
    expect(page).to_have_title(re.compile("^40 % · Running · "))
    stage.fail("ba_consultant", "no answer")
    expect(page).to_have_title(re.compile("^✗ Failed · "))
    expect_icon(page, "icon-error")
    [[title, body]] = page.evaluate("notified")
    assert title == f"Failed: run {second[:8]}"
    assert body
    project_page.start("ba_consultant")
    expect(notify).to_have_attribute("aria-pressed", "true")
    notify.click()
    expect(notify).to_have_attribute("aria-pressed", "false")
    stage.fail("ba_consultant", "no answer")
    expect(page).to_have_title(re.compile("^✗ Failed · "))
    assert len(page.evaluate("notified")) == 1
    page.reload()
    expect(project_page.banner).to_be_visible()
    expect(notify).to_be_hidden()


def test_notifications_are_not_offered_where_the_browser_forbids_them(project_page: ProjectPage) -> None:
    """A button that can do nothing is not there."""
    project_page.page.add_init_script("Object.defineProperty(Notification, 'permission', { value: 'denied' })")
    project_page.open().start("ba_consultant")
    expect(project_page.part("notify")).to_be_hidden()
