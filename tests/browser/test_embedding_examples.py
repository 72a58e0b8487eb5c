"""Every example of docs/embedding.md, run in a real browser against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elsewhere import start_run
from embedding import Site, bundle, examples, install_package, serve_at
from live_server import LiveServer
from playwright.sync_api import Page, expect
from staged_model import Stage

AGENTS = ("ba_consultant", "qa_consultant")


@pytest.fixture
def site() -> Iterator[Site]:
    """Somebody else's web site."""
    site = Site()
    yield site
    site.close()


@pytest.fixture
def server_settings(site: Site) -> dict[str, Any]:
    """The server lets that site in."""
    return {"allowed_origins": (site.origin,)}


def policy_of(server: LiveServer) -> str:
    """The content security policy of the document, which lets nothing else be fetched, and one inline script run."""
    header = examples("Content security policy", server=server.url)[0]
    policy = header.partition(": ")[2].strip().replace("wss://runs.example.org", server.url.replace("http", "ws", 1))
    allowed = policy.replace("script-src", "script-src 'nonce-once'")
    return f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {allowed}">'


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
    expect(page.locator("output")).to_have_text("1 of 2, running")
    stage.finish("qa_consultant")
    expect(page.locator("output")).to_have_text("2 of 2, completed")
    log = server.call(server.home.store.runs.read_events(server.home.user.tenant, run_id, 0, 100))
    page.wait_for_function("document.querySelector('progress').value === 100")
    while len(heard) < len(log):
        page.wait_for_event("console")
    assert [line.split()[:2] for line in heard] == [[str(event.id), event.type] for event in log]


def test_package_of_the_server_is_bundled_with_react_and_vue(
    server: LiveServer, sign_in: None, stage: Stage, page: Page, tmp_path: Path
) -> None:
    """npm installs the client from the server; a bundler puts it into both applications, and they follow a run."""
    run_id = start_run(server, *AGENTS)
    hook, application = examples("React", server=server.url)
    composable, vue = examples("Vue", server=server.url, run_id=run_id)
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "use-run.jsx").write_text(hook)
    (folder / "run.jsx").write_text(application)
    (folder / "use-run.js").write_text(composable)
    (folder / "vue.js").write_text(vue)
    (folder / "react.jsx").write_text(
        "import { createRoot } from 'react-dom/client';\nimport { Run } from './run.jsx';\n"
        f"const runs = ['{run_id}', 'none'].map((id) => <Run key={{id}} id={{id}} />);\n"
        "createRoot(document.getElementById('app')).render(runs);\n"
    )
    (folder / "package.js").write_text(
        examples("As a package", server=server.url)[1] + "\nvoid [RunClient, applyEvent];"
    )
    install_package(folder, server.url)
    bundle(folder, "package.js")
    for entry, statuses in (("react.jsx", ["running", "queued"]), ("vue.js", ["completed", "running"])):
        serve_at(page, server.url, bundle(folder, entry))
        lines = [f"{agent}: {status}" for agent, status in zip(AGENTS, statuses, strict=True)]
        expect(page.locator("#app li")).to_have_text(lines)
        if entry == "react.jsx":
            expect(page.locator("#app p")).to_have_text("There is no run “none”: the id of a run is a UUID.")
        stage.finish("ba_consultant" if entry == "react.jsx" else "qa_consultant")
        expect(page.locator("#app li").first).to_have_text("ba_consultant: completed")
    expect(page.locator("#app li")).to_have_text(["ba_consultant: completed", "qa_consultant: completed"])
