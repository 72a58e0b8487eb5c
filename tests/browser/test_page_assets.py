"""What the browser loads for a page: everything at once, and nothing again."""

from __future__ import annotations

import pytest
from elsewhere import start_run
from live_server import LiveServer
from playwright.sync_api import Page, expect
from project_page import ALL, ProjectPage

PRELOADED = "() => [...document.querySelectorAll('link[rel=modulepreload]')].map(({ href }) => href)"
ENTRY = "() => document.querySelector('script[type=module]').src"
RUN = "(entry) => import(entry).then(() => {}, () => {})"  # out of its page, it may fail once all is loaded
FETCHED = """() => performance.getEntriesByType('resource')
  .filter(({ name, transferSize }) => transferSize > 0 && new URL(name).pathname.startsWith('/static/'))
  .map(({ name }) => name)"""


@pytest.mark.parametrize("path", ["", "/artifacts"])
def test_page_preloads_exactly_what_its_script_imports(
    server: LiveServer, sign_in: None, page: Page, path: str
) -> None:
    """Chromium, left alone with the entry, loads the modules that the page names beforehand, and no others."""
    page.goto(f"{server.url}/projects/{server.home.project_id}{path}")
    entry, preloaded = page.evaluate(ENTRY), page.evaluate(PRELOADED)
    page.goto(f"{server.url}/sign-in")
    loaded: list[str] = []
    page.on("request", lambda request: request.url.endswith(".js") and loaded.append(request.url))
    page.evaluate(RUN, entry)
    assert loaded[0] == entry
    assert sorted(loaded[1:]) == sorted(preloaded)


def test_page_is_loaded_once_and_then_kept(server: LiveServer, sign_in: None, page: Page) -> None:
    """No script and no sheet comes twice, not even that of page and cards; the next page asks for none of them."""
    project = ProjectPage(page, server.url, server.home.project_id)
    project.open(start_run(server, *ALL))
    expect(project.connection).to_have_text("Live")
    fetched = page.evaluate(FETCHED)
    assert any(address.endswith("/agent-status-card.css") for address in fetched)
    assert len(fetched) == len({*fetched})
    project.open()
    expect(project.start_button).to_be_enabled()
    assert page.evaluate(FETCHED) == []
