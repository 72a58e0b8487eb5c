"""The project page as it is painted first: whole without any script, and not moved by those that take it over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from elsewhere import run_once, start_run
from live_server import LiveServer
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from project_page import ALL, ProjectPage
from staged_model import Stage

from realtime.snapshot import RunSnapshot

LABEL = "Reading <shop.md>"

GEOMETRY = """() => [...document.querySelectorAll('#run, #run [data-part], agent-status-card, #runs, #documents')]
  .filter((element) => !['connection', 'notify'].includes(element.dataset.part) && element.checkVisibility())
  .map((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [element.dataset.part ?? element.id, x, y, height, element.localName.includes('-') ? width : 0];
  })"""
"""Where everything is that may not move; a word may become longer, but nothing gives way to it."""

CARDS = """() => [...document.querySelectorAll('agent-status-card')].map((card) => [
  card.getAttribute('status'), card.getAttribute('progress'), card.shadowRoot.querySelector('.card').outerHTML])"""

PAINTED = """() => document.fonts.status === 'loaded' && document.readyState !== 'loading'
  && performance.getEntriesByName('first-contentful-paint').length > 0"""
"""All of the page is there, and its styles, for nothing is painted without them."""

SHIFTS = """
globalThis.shifts = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value, sources }) =>
  ({ value, of: sources.map(({ node }) => node?.outerHTML ?? node?.textContent) }))))
  .observe({ type: 'layout-shift', buffered: true });
"""


@pytest.fixture
def run(server: LiveServer, stage: Stage) -> RunSnapshot:
    """A run of all agents that goes on: the first is done, the second at 40 %, the third queued."""
    run_id = start_run(server, *ALL)
    stage.finish(ALL[0])
    stage.progress(ALL[1], 40, LABEL)
    return run_once(server, run_id, lambda run: run.steps[1].progress_label == LABEL)


@pytest.fixture
def without_scripts(browser: Browser, context: BrowserContext, sign_in: None) -> Any:
    """A page of somebody who has switched JavaScript off."""
    plain = browser.new_context(java_script_enabled=False)
    plain.add_cookies(context.cookies())  # type: ignore[arg-type]
    yield plain.new_page()
    plain.close()


def test_run_without_javascript_is_drawn_and_read_only(
    server: LiveServer, run: RunSnapshot, without_scripts: Page
) -> None:
    """Cards have their colours and bars, everything can be read, nothing claims to move or to do anything."""
    complaints: list[str] = []
    without_scripts.on("console", lambda message: complaints.append(message.text))
    page = ProjectPage(without_scripts, server.url, server.home.project_id).open(run.id)
    shown = page.page
    drawn_at = json.loads(shown.locator("#page-data").text_content() or "")["server_time"]
    expect(shown.locator("noscript .notice")).to_contain_text(f"as it was at {drawn_at[11:16]}")
    done, working, waiting = (
        page.expect_card(agent, status) for agent, status in zip(ALL, ("complete", "running", "queued"), strict=True)
    )
    expect(working.locator(".subtitle")).to_have_text(LABEL)
    bar, fill = (working.locator(f".{part}").bounding_box() for part in ("bar", "fill"))
    assert bar is not None
    assert fill is not None
    assert bar["width"] > 50
    assert fill["width"] / bar["width"] == pytest.approx(0.4, abs=0.02)
    expect(waiting.locator(".bar")).to_be_hidden()
    colours = [
        card.locator(".card").evaluate("card => getComputedStyle(card).backgroundColor")
        for card in (done, working, waiting)
    ]
    assert len(set(colours)) == 3
    expect(shown.locator("[data-part=done]")).to_have_text("1 of 3 · 46 %")
    expect(shown.locator("[data-part=timeline] rect")).to_have_count(2)
    expect(shown.locator(".run-actions button:visible")).to_have_count(0)
    expect(page.connection).to_be_hidden()
    expect(page.start_button).to_be_disabled()
    expect(shown.get_by_role("button", name="Upload")).to_be_disabled()
    shown.locator("#runs li a").click()
    expect(page.card(ALL[1]).locator(".percent")).to_have_text("40 %")
    assert complaints == []


def test_scripts_take_over_what_was_painted_without_moving_it(
    server: LiveServer, run: RunSnapshot, sign_in: None, page: Page, complaints: list[str]
) -> None:
    """What stands there is in the same place before and after, the cards are the same, and nothing shifted."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.add_init_script(SHIFTS)
    page.route("**/page/project.js", hold)
    page.goto(f"{server.url}/projects/{server.home.project_id}/runs/{run.id}", wait_until="commit")
    expect(page.locator("agent-status-card")).to_have_count(3)
    expect(page.locator("#runs li")).to_have_count(1)
    page.wait_for_function(PAINTED)
    first = (page.evaluate(GEOMETRY), page.evaluate(CARDS))
    for route in held:
        route.continue_()
    page.unroute("**/page/project.js")
    expect(page.locator("[data-part=connection]")).to_have_text("Live")
    assert page.evaluate(GEOMETRY) == first[0]
    assert page.evaluate(CARDS) == first[1]
    shifts = page.evaluate("shifts")
    assert sum(shift["value"] for shift in shifts) < 0.01, shifts
    assert complaints == []
