"""`<agent-run>` in pages that know nothing else of us, against a real server."""

from __future__ import annotations

import pytest
from elsewhere import start_run
from embedding import serve_at
from live_server import LiveServer
from playwright.sync_api import Page, WebSocket, expect
from staged_model import Stage

SCRIPT = "import '/static/agent-run.js';"
AGENTS = ("ba_consultant", "qa_consultant")


@pytest.fixture
def sockets(page: Page) -> list[WebSocket]:
    """Every WebSocket that the page has opened."""
    opened: list[WebSocket] = []
    page.on("websocket", lambda socket: opened.append(socket))  # noqa: PLW0108  # Playwright marks what it calls
    return opened


def asked(page: Page, op: str) -> list[str]:
    """The frames of that kind that the page will have sent."""
    frames: list[str] = []

    def note(frame: str | bytes) -> None:
        if f'"{op}"' in str(frame):
            frames.append(str(frame))

    page.on("websocket", lambda socket: socket.on("framesent", note))
    return frames


def test_run_is_shown_from_its_first_event_to_its_end(
    server: LiveServer, sign_in: None, stage: Stage, page: Page
) -> None:
    """Attributes, cards and words follow the run; every change and the end are told to whoever listens above."""
    run_id = start_run(server, *AGENTS)
    heard = """addEventListener('run-state', ({ detail }) => { document.body.dataset.state = detail.status; });
        addEventListener('run-ended', ({ detail }) => { document.body.dataset.ended = detail.reason; });"""
    serve_at(page, server.url, f"{SCRIPT}\n{heard}", body=f'<agent-run run-id="{run_id}"></agent-run>')
    run = page.locator("agent-run")
    expect(run).to_have_attribute("status", "running")
    expect(run).to_have_attribute("connection", "live")
    stage.progress("ba_consultant", 50, "Reading")
    expect(run).to_have_attribute("progress", "25")
    expect(run.locator("agent-status-card").first.locator(".subtitle")).to_have_text("Reading")
    stage.finish("ba_consultant")
    expect(run.locator(".done")).to_have_text("1 of 2 · 50 %")
    stage.fail("qa_consultant", "no answer")
    expect(run).to_have_attribute("status", "failed")
    expect(run.get_by_role("alert")).to_have_text("QA consultant failed: no answer")
    expect(run.locator("agent-status-card .name")).to_have_text(["BA consultant", "QA consultant"])
    expect(run).to_have_attribute("connection", "closed")
    expect(page.locator("body[data-state=failed][data-ended=finished]")).to_have_count(1)


def test_runs_of_one_server_share_a_connection_until_the_last_leaves(
    server: LiveServer, sign_in: None, stage: Stage, page: Page, sockets: list[WebSocket]
) -> None:
    """Two elements, one WebSocket; moved, an element goes on as it was; another run-id is followed at once."""
    first, second = start_run(server, "ba_consultant"), start_run(server, "qa_consultant")
    subscribed = asked(page, "subscribe")
    runs = "".join(f'<p><agent-run run-id="{run_id}"></agent-run></p>' for run_id in (first, second))
    serve_at(page, server.url, SCRIPT, body=runs)
    elements = page.locator("agent-run")
    for element in elements.all():
        expect(element).to_have_attribute("connection", "live")
    page.evaluate("document.body.prepend(document.querySelectorAll('agent-run')[1])")
    stage.progress("qa_consultant", 30, "Reading")
    expect(elements.first.locator(".subtitle")).to_have_text("Reading")
    assert (len(sockets), len(subscribed)) == (1, 2)
    elements.first.evaluate("(element, runId) => { element.runId = runId; }", first)
    expect(elements.first.locator("agent-status-card")).to_have_attribute("agent-type", "ba_consultant")
    assert (len(sockets), len(subscribed)) == (1, 3)
    elements.last.evaluate("element => element.remove()")
    elements.first.evaluate("(element, runId) => Object.assign(element, { runId, url: location.origin })", second)
    expect(elements.first.locator("agent-status-card")).to_have_attribute("agent-type", "qa_consultant")
    assert len(sockets) == 1
    with sockets[0].expect_event("close"):
        page.evaluate("document.querySelectorAll('agent-run').forEach((element) => element.remove())")


def test_client_set_before_the_element_is_known_is_used(
    server: LiveServer, sign_in: None, page: Page, sockets: list[WebSocket]
) -> None:
    """As frameworks do it: properties first, definition later. The page's client outlives the element."""
    script = """import { RunClient } from '/static/run-client.js';
        const element = document.querySelector('agent-run');
        globalThis.client = new RunClient({ clientId: 'of-the-page' });
        Object.assign(element, { client, runId: element.dataset.run });
        await import('/static/agent-run.js');
        document.body.dataset.used = element.client === client;"""
    run_id, subscribed = start_run(server, "ba_consultant"), asked(page, "subscribe")
    serve_at(page, server.url, script, body=f'<agent-run data-run="{run_id}"></agent-run>')
    expect(page.locator("agent-run")).to_have_attribute("connection", "live")
    expect(page.locator("body")).to_have_attribute("data-used", "true")
    assert (len(subscribed), "of-the-page" in subscribed[0]) == (1, True)
    again = """(runId) => new Promise((resolve) => {
        document.querySelector('agent-run').remove();
        client.watch(runId).addEventListener('state', ({ detail }) => resolve(detail.id), { once: true });
    })"""
    assert page.evaluate(again, run_id) == run_id
    assert (len(sockets), sockets[0].is_closed()) == (1, False)


DRAWN = """async () => {
  const watch = Object.assign(new EventTarget(), {
    state: null, ending: null, close() {}, connection: { state: 'live', since: null, cursor: 1, head: 1 },
  });
  const element = document.querySelector('agent-run');
  Object.assign(element, { client: { watch: () => watch }, runId: 'any' });
  const frame = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
  const at = (percent) => {
    watch.state = {
      status: 'running', last_event_id: percent + 1, error_message: null,
      steps: [{ id: 's', agent_type: 'qa', status: 'running', progress_pct: percent, progress_label: null }],
    };
    watch.dispatchEvent(new CustomEvent('state', { detail: watch.state }));
  };
  await Promise.resolve();
  at(0);
  await frame();
  let drawn = 0;
  const observer = new MutationObserver((changes) => { drawn += changes.length; });
  observer.observe(element, { attributes: true, attributeFilter: ['progress'] });
  for (let percent = 1; percent <= 90; percent += 1) at(percent);
  await frame();
  const seen = [drawn, element.getAttribute('progress')];
  Object.defineProperty(document, 'hidden', { get: () => true });
  globalThis.requestAnimationFrame = () => 0;
  at(95);
  return seen;
}"""


def test_run_is_drawn_once_a_frame_and_styled_from_outside(server: LiveServer, page: Page) -> None:
    """However much happens, and in a hidden tab; its parts are within the page's reach. A bad url is told."""
    style = """<style>
      agent-run::part(status) { color: rgb(1, 2, 3); }
      agent-run::part(card) { margin-left: 30px; }
      agent-run::part(card-name) { color: rgb(4, 5, 6); }
      agent-run { --card-radius: 3px; }
    </style>"""
    serve_at(page, server.url, SCRIPT, body=f"{style}<agent-run></agent-run>")
    page.evaluate("customElements.whenDefined('agent-run').then(() => null)")
    assert page.evaluate(DRAWN) == [1, "90"]
    run = page.locator("agent-run")
    expect(run).to_have_attribute("progress", "95")
    expect(run.locator(".status")).to_have_css("color", "rgb(1, 2, 3)")
    expect(run.locator("agent-status-card")).to_have_css("margin-left", "30px")
    expect(run.locator("agent-status-card .name")).to_have_css("color", "rgb(4, 5, 6)")
    expect(run.locator("agent-status-card .card")).to_have_css("border-radius", "3px")
    run.evaluate("element => Object.assign(element, { client: undefined, url: 'http://' })")
    expect(run.get_by_role("alert")).to_contain_text('There is no server at "http://"')
    run.evaluate("element => { element.runId = undefined; }")
    expect(run.get_by_role("alert")).to_be_hidden()
    assert run.get_attribute("run-id") is None
