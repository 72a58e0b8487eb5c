"""Every example of docs/embedding.md, run in a real browser against a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elsewhere import start_run
from embedding import Site, bundle, check_types, examples, install_package, serve_at
from live_server import LiveServer
from playwright.sync_api import Page, expect
from proxy import Proxy
from staged_model import Stage

from realtime.roles import Role

AGENTS = ("ba_consultant", "qa_consultant")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
LOST = re.compile("reconnecting|offline")


@pytest.fixture
def site() -> Iterator[Site]:
    """Somebody else's web site."""
    site = Site()
    yield site
    site.close()


@pytest.fixture
def server_settings(site: Site) -> dict[str, Any]:
    """The server lets that site in, and soon learns whose role has changed."""
    return {"allowed_origins": (site.origin,), "access_check_s": 0.1}


def policy_of(server: LiveServer) -> str:
    """The content security policy of the document, which lets nothing else be fetched, and one inline script run."""
    header = examples("Content security policy", server=server.url)[0]
    policy = header.partition(": ")[2].strip().replace("wss://runs.example.org", server.url.replace("http", "ws", 1))
    allowed = policy.replace("script-src", "script-src 'nonce-once'")
    strict = f"default-src 'none'; require-trusted-types-for 'script'; {allowed}"
    return f'<meta http-equiv="Content-Security-Policy" content="{strict}">'


def test_ten_lines_in_a_page_of_another_origin_start_and_follow_a_run(
    server: LiveServer, site: Site, stage: Stage, page: Page
) -> None:
    """The first example as it is printed: with a token from its own site, under the named policy, to the end."""
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    html = examples("Ten lines of HTML", server=server.url)[0]
    site.pages["/"] = policy_of(server) + html.replace("<script ", '<script nonce="once" ')
    site.pages["/runcast-token"] = server.home.issue_token()
    page.goto(site.origin)
    element = page.locator("agent-run")
    expect(element).to_have_attribute("status", "running")
    stage.progress("qa_consultant", 30, "Reading")
    expect(element.locator("agent-status-card .subtitle")).to_have_text("Reading")
    stage.finish("qa_consultant")
    expect(element).to_have_attribute("status", "completed")
    expect(element.locator("agent-status-card")).to_have_attribute("status", "complete")
    page.wait_for_function("document.querySelector('agent-run').getAttribute('connection') === 'closed'")
    assert heard == ["finished"]


def test_element_alone_follows_a_run_of_the_own_origin(
    server: LiveServer, sign_in: None, stage: Stage, page: Page
) -> None:
    """Two lines and no script of one's own: the cookie is enough."""
    run_id = start_run(server, *AGENTS)
    html = examples("Ten lines of HTML", server=server.url, run_id=run_id)[1]
    page.route(f"{server.url}/embedded/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{server.url}/embedded/")
    expect(page.locator("agent-status-card")).to_have_count(2)
    stage.finish("ba_consultant", "qa_consultant")
    expect(page.locator("agent-run")).to_have_attribute("status", "completed")


def test_client_without_elements_draws_progress_and_iterates(
    server: LiveServer, sign_in: None, stage: Stage, page: Page
) -> None:
    """The listener's example and the loop's, side by side in one page."""
    run_id = start_run(server, *AGENTS)
    html, loop = examples("Without our elements", server=server.url, run_id=run_id)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    serve_at(page, server.url, loop, body=html)
    stage.finish("ba_consultant")
    expect(page.locator("output")).to_have_text("1 of 2, running, live")
    stage.finish("qa_consultant")
    expect(page.locator("output")).to_have_text("2 of 2, completed, closed")
    log = server.call(server.home.store.runs.read_events(server.home.user.tenant, run_id, 0, 100))
    page.wait_for_function("document.querySelector('progress').value === 100")
    while len(heard) < len(log):
        page.wait_for_event("console")
    assert [line.split()[:2] for line in heard] == [[str(event.id), event.type] for event in log]


APPLICATIONS = """
import { createRoot } from 'react-dom/client';
import { createApp, h, ref } from 'vue';
import './package.js';
import { LiveRun } from './live-run.tsx';
import { Run as ReactRun } from './run.jsx';
import { Run as VueRun } from './vue-run.js';

const [id, root] = [ref('none'), createRoot(document.getElementById('react'))];
createApp(() => h(VueRun, { id: id.value })).mount('#vue');
globalThis.show = (runId) => {
  id.value = runId;
  root.render(<><ReactRun id={runId} /><LiveRun id={runId} /></>);
};
"""
WRONG = """
import type {} from 'runcast-client/react';
// @ts-expect-error an id is no number
export const run = <agent-run run-id={7} />;
// @ts-expect-error no card is called so
export const card = <agent-status-card status="done" />;
"""


def write_applications(folder: Path, origin: str) -> None:
    """The examples of all sections about frameworks, each in the file that the others import it from."""
    react, vue = examples("React", server=origin), examples("Vue", server=origin)
    files = {
        "use-run.jsx": react[0],
        "run.jsx": react[1],
        "live-run.tsx": react[2],
        "use-run.js": vue[0],
        "vue-run.js": vue[1],
        "package.js": examples("As a package", server=origin)[1] + "\nvoid [RunClient, applyEvent];",
        "applications.jsx": APPLICATIONS,
        "wrong.tsx": WRONG,
    }
    for name, content in files.items():
        (folder / name).write_text(content)


@pytest.mark.usefixtures("sign_in", "provoked")
def test_package_of_the_server_is_bundled_with_react_and_vue(
    server: LiveServer, proxy: Proxy, stage: Stage, page: Page, tmp_path: Path
) -> None:
    """npm installs the client; what is bundled with it follows a run, tells of a lost line, and never shows a run's
    steps under an id that has none, nor a refusal in its middle as if it went on."""
    folder = tmp_path / "applications"
    folder.mkdir()
    write_applications(folder, proxy.url)
    install_package(folder, proxy.url)
    check_types(folder, "live-run.tsx", "wrong.tsx")
    run_id = start_run(server, *AGENTS)
    page.route("**/runcast-token", lambda route: route.fulfill(body=server.home.issue_token()))
    page.route(
        "**/embedded/*.css",
        lambda route: route.fulfill(
            path=folder / "node_modules" / "runcast-client" / route.request.url.rpartition("/")[2]
        ),
    )
    places = [page.locator(place) for place in ("#react", "#vue")]
    script = bundle(folder, "applications.jsx")
    serve_at(page, proxy.url, script, body='<div id="react"></div><div id="vue"></div>')

    def shown(said: str | re.Pattern[str], *statuses: str) -> None:
        for place in places:
            expect(place.locator("p[role=status]").first).to_have_text(said)
            lines = [f"{agent}: {status}" for agent, status in zip(AGENTS, statuses, strict=False)]
            expect(place.locator("li")).to_have_text(lines)

    page.evaluate("runId => show(runId)", run_id)
    shown("live", "running", "queued")
    expect(page.locator("agent-status-card .card").first).to_have_css("display", "grid")
    proxy.cut()
    shown(LOST, "running", "queued")
    proxy.heal()
    stage.finish("ba_consultant")
    shown("live", "completed", "running")
    page.evaluate("runId => show(runId)", UNKNOWN)
    shown("There is no such run.")
    page.evaluate("runId => show(runId)", run_id)
    shown("live", "completed", "running")
    home = server.home
    server.call(home.store.accounts.set_member(home.user.tenant, home.project_id, home.user.id, Role.VIEWER))
    shown("Your role in this project no longer allows to stream.", "completed", "running")
