"""The project page as a person uses it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

RUN_URL = re.compile(r"/projects/[^/]+/runs/[0-9a-f-]{36}$")
ARTIFACTS_URL = re.compile(r"/projects/[^/]+/artifacts\?run_id=[0-9a-f-]{36}$")
SUCCESS = "Agent pipeline completed successfully!"
NAMES = {
    "ba_consultant": "Business analyst",
    "qa_consultant": "QA consultant",
    "automation_consultant": "Test automation consultant",
}
ALL = tuple(NAMES)
FREEZING_S = 5
"""More than a slow machine takes to freeze a page's time: a clock cannot be stopped at what is past."""
RECORD_NOTIFICATIONS = """
globalThis.notified = [];
globalThis.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    notified.push([title, options.body]);
  }
};
"""


class ProjectPage:
    """One tab with a project's page at ``url``."""

    def __init__(self, page: Page, url: str, project_id: str) -> None:
        self.page = page
        self.url = url
        self.project_id = project_id
        self.run = page.locator("#run")
        self.connection = self.part("connection")
        self.banner = self.part("banner")
        self.said = page.locator("#announcements")
        self.toast = page.get_by_text(SUCCESS)
        self.cards = page.locator("agent-status-card")
        self.start_button = page.locator("#start button[type=submit]")

    def open(self, run_id: str | None = None) -> ProjectPage:
        """Load the project, or one of its runs."""
        run = "" if run_id is None else f"/runs/{run_id}"
        self.page.goto(f"{self.url}/projects/{self.project_id}{run}")
        return self

    def start(self, *agent_types: str, mode: str = "sequential") -> str:
        """Start a run of these agents; its id. Returns when the page follows it."""
        self.choose(*agent_types)
        self.page.get_by_label("Pipeline").select_option(mode)
        before = self.page.url
        self.start_button.click()
        self.page.wait_for_function("before => location.href !== before", arg=before)
        expect(self.page).to_have_url(RUN_URL)
        expect(self.connection).to_have_text("Live")
        return self.page.url.rpartition("/")[2]

    def choose(self, *agent_types: str) -> None:
        """Choose these agents and no others for the next run."""
        for agent_type in ALL:
            self.page.locator(f"input[value={agent_type}]").set_checked(agent_type in agent_types)

    def cancel(self) -> None:
        """Cancel the run that is shown, by button: press it, and again when it takes that for an answer."""
        button = self.part("cancel")
        button.click()
        expect(button).to_have_attribute("data-confirms", "")
        button.click()

    def part(self, name: str) -> Locator:
        """That part of the run's section."""
        return self.run.locator(f"[data-part={name}]")

    def card(self, agent_type: str) -> Locator:
        """The status card of that agent."""
        return self.page.locator(f"agent-status-card[agent-type={agent_type}]")

    def expect_card(self, agent_type: str, status: str) -> Locator:
        """The card, once it shows that status."""
        card = self.card(agent_type)
        expect(card).to_have_attribute("status", status)
        return card

    def mark(self) -> None:
        """Leave something in the page that a reload would remove."""
        self.page.evaluate("globalThis.unreloaded = true")

    def expect_unreloaded(self) -> None:
        """The mark is still there."""
        assert self.page.evaluate("globalThis.unreloaded") is True

    def hide(self) -> None:
        """Have the tab be one that nobody looks at: it says so, and gets no frames to draw in."""
        self.page.evaluate(
            """() => {
                Object.defineProperty(document, 'hidden', { get: () => true });
                Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
                globalThis.requestAnimationFrame = () => 0;
                document.dispatchEvent(new Event('visibilitychange'));
            }"""
        )

    def allow_notifications(self) -> None:
        """From the next load on the page may notify; `notified` in it has the title and text of each."""
        self.page.context.grant_permissions(["notifications"], origin=self.url)
        self.page.add_init_script(RECORD_NOTIFICATIONS)

    def freeze_time(self) -> None:
        """Time in the page leaps a few seconds ahead, then only passes by `let_pass`, and draws no frames."""
        self.page.clock.pause_at(self.page.evaluate("Date.now()") / 1000 + FREEZING_S)

    def let_pass(self, ms: int) -> None:
        """Run what is due in the page within ``ms``."""
        self.page.clock.run_for(ms)
