"""Pictures of the page for the documentation: a real server and Chromium, agents held where a picture wants them."""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromium import CHROMIUM_FLAGS, find_chromium
from live_server import LiveServer, session_of
from playwright.sync_api import Browser, Page, expect, sync_playwright
from project_page import ALL, ARTIFACTS_URL, ProjectPage
from proxy import Proxy
from staged_model import Stage

DOCS = Path(__file__).parents[1] / "docs"
WIDE = {"width": 1200, "height": 800}
NARROW = {"width": 390, "height": 844}


class Studio:
    """A project with documents, open in a browser through a line that can be cut; pictures go into ``folder``."""

    def __init__(self, page: Page, server: LiveServer, proxy: Proxy, folder: Path) -> None:
        self.project = ProjectPage(page, proxy.url, server.home.project_id).open()
        self.proxy = proxy
        self._folder = folder

    def take(self, name: str, *, dark: bool = False, narrow: bool = False) -> None:
        """One picture of what the page shows now."""
        page = self.project.page
        page.set_viewport_size(NARROW if narrow else WIDE)
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 80})
        (self._folder / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")


@contextmanager
def studio(browser: Browser, stage: Stage | None, folder: Path, **settings: int) -> Iterator[Studio]:
    """Whose agents wait for the stage's cues, or, without a stage, work by themselves."""
    with tempfile.TemporaryDirectory() as home:
        server = LiveServer(Path(home), stage, **settings)
        server.start()
        proxy = Proxy(int(server.url.rpartition(":")[2]))
        context = browser.new_context(viewport=WIDE, locale="en-GB", timezone_id="UTC")
        try:
            for name in ("events.md", "protocol.md", "reliability.md"):
                server.call(server.home.import_document(f"docs/{name}", (DOCS / name).read_bytes()))
            context.add_cookies([session_of(server)])
            yield Studio(context.new_page(), server, proxy, folder)
        finally:
            context.close()
            proxy.close()
            server.stop()


def take_running(browser: Browser, folder: Path) -> None:
    """Under way, in every look, then with the line cut, failed, and complete."""
    stage = Stage()
    with studio(browser, stage, folder) as here:
        project = here.project
        project.page.clock.install()
        project.open().start(*ALL)
        stage.finish("ba_consultant")
        stage.progress("qa_consultant", 42, "Reading docs/protocol.md (2 of 3)")
        expect(project.card("qa_consultant")).to_have_attribute("progress", "42")
        project.page.clock.fast_forward("00:40")  # less than a silence that is taken for a lost line
        here.take("running")
        here.take("running-dark", dark=True)
        here.take("running-narrow", narrow=True)
        here.proxy.cut()
        expect(project.connection).to_have_attribute("data-connection", "reconnecting")
        here.take("reconnecting")
        here.proxy.heal()
        stage.fail("qa_consultant", "The model's endpoint answered 503 three times.")
        expect(project.banner).to_be_visible()
        here.take("error")
        project.start(*ALL)
        project.freeze_time()
        stage.finish(*ALL)
        expect(project.toast).to_be_visible()
        project.let_pass(100)
        here.take("complete")


def take_queued(browser: Browser, folder: Path) -> None:
    """Accepted, and waiting for another run to end."""
    with studio(browser, Stage(), folder, max_runs_at_once=1) as here:
        here.project.start("ba_consultant")
        here.project.open().start(*ALL)
        here.take("queued")


def take_artifacts(browser: Browser, folder: Path) -> None:
    """What the agents leave behind: Markdown, Gherkin and TypeScript."""
    with studio(browser, None, folder) as here:
        here.project.start_button.click()
        page = here.project.page
        expect(page).to_have_url(ARTIFACTS_URL, timeout=30_000)
        expect(page.get_by_role("button", name="Copy")).to_be_visible()
        here.take("artifacts")
        page.locator(".rows a").last.click()
        expect(page.get_by_role("heading", level=2)).to_contain_text("Playwright")
        here.take("artifacts-dark", dark=True)


def take_all(folder: Path) -> None:
    """Every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        for take in (take_queued, take_running, take_artifacts):
            take(browser, folder)
        browser.close()
    for picture in sorted(folder.glob("*.webp")):
        print(f"{picture.name}: {picture.stat().st_size // 1024} KB")


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))
