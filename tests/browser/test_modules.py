"""The page's modules by themselves, in the browser, with its network and its time in the tests' hands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).parent
FOLDERS = {"static": HERE.parents[1] / "realtime" / "web" / "static", "js": HERE / "js"}
ORIGIN = "http://modules.test"
CASES = [
    pytest.param(file.name, name, id=f"{file.name.removesuffix('.test.mjs')}: {name}")
    for file in sorted(FOLDERS["js"].glob("*.test.mjs"))
    for name in re.findall(r"^test\('(.+)', ", file.read_text(), re.MULTILINE)
]


def serve(route: Route) -> None:
    """Answer from the folders; anything else is an empty page."""
    folder, _, name = route.request.url.removeprefix(f"{ORIGIN}/").partition("/")
    if folder in FOLDERS:
        route.fulfill(path=FOLDERS[folder] / name, content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")


@pytest.fixture(scope="module")
def modules_page(browser: Browser) -> Iterator[Page]:
    """One page for all: each test has a world of its own in it."""
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", serve)
    page.goto(f"{ORIGIN}/")
    yield page
    page.close()


@pytest.mark.parametrize(("file", "name"), CASES)
def test_module_in_browser_passes(modules_page: Page, file: str, name: str) -> None:
    """Proves what the test of that name in js/ says."""
    modules_page.evaluate(
        """async ([file, name]) => {
            await import(`/js/${file}`);
            const { run } = await import('/js/harness.mjs');
            await run(name);
        }""",
        [file, name],
    )
