"""What the server drew is taken over by the scripts: nothing is drawn twice, nothing is missed in between."""

from __future__ import annotations

from typing import Any

from live_server import LiveServer
from playwright.sync_api import Page, expect
from project_page import ProjectPage
from staged_model import Stage

AGENTS = ("ba_consultant", "qa_consultant")
RECORD = """() => {
  globalThis.touched = [];
  const told = ({ type, target, attributeName, oldValue }) => {
    if (type === 'attributes' && target.getAttribute(attributeName) === oldValue) return;
    const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
    touched.push(`${type} ${attributeName ?? ''} of ${element.dataset.part ?? element.outerHTML.slice(0, 80)}`);
  };
  const everything = { subtree: true, childList: true, attributeOldValue: true, characterData: true };
  document.addEventListener('readystatechange', () => {
    if (document.readyState !== 'interactive') return;
    new MutationObserver((changes) => changes.forEach(told)).observe(document.getElementById('run'), everything);
    new MutationObserver((changes) => changes.forEach(told)).observe(document.head, everything);
  });
}"""
"""From here on, whatever is changed in the run's section or in the head is noted, once the document is there."""


def requests_of(page: Page) -> list[str]:
    """The paths that the page asks for from now on, beside itself and its files."""
    asked: list[str] = []
    page.on("request", lambda one: "/api/" in one.url and asked.append(one.url.partition("/api/v1/")[2]))
    return asked


def touched(page: Page) -> list[Any]:
    """What has been changed."""
    return list(page.evaluate("touched"))


def test_ended_run_opened_is_not_drawn_again(project_page: ProjectPage, stage: Stage) -> None:
    """Only the button that the script lends its use is touched; the run is not asked for, for it is there."""
    page = project_page.page
    run_id = project_page.start(*AGENTS)
    stage.finish("ba_consultant")
    stage.fail("qa_consultant", "no answer")
    expect(project_page.banner).to_be_visible()
    page.add_init_script(f"({RECORD})()")
    asked = requests_of(page)
    project_page.open(run_id)
    expect(project_page.part("retry")).to_be_enabled()
    expect(project_page.banner).to_have_text("QA consultant failed: no answer")
    assert set(touched(page)) <= {"attributes disabled of cancel", "attributes disabled of retry"}
    assert [path for path in asked if run_id in path] == []


def test_running_run_opened_goes_on_where_the_server_drew_it(
    server: LiveServer, project_page: ProjectPage, stage: Stage
) -> None:
    """The cards stay the elements they were, what happened before the scripts came is not asked for again."""
    page = project_page.page
    run_id = project_page.start(*AGENTS)
    stage.progress("ba_consultant", 60, "Reading")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "60")
    page.add_init_script(f"({RECORD})()")
    asked = requests_of(page)
    subscribed: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: subscribed.append(str(frame))))
    page.reload()
    expect(project_page.connection).to_have_text("Live")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "60")
    assert [one for one in touched(page) if "cards" in one or "agent-status-card" in one] == []
    head = project_page.run.get_attribute("data-last-event-id")
    assert any(run_id in frame and f'"last_event_id":{head}' in frame for frame in subscribed)
    assert [path for path in asked if run_id in path] == []
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
