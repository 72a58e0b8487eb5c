"""The page over https: Chromium speaks HTTP/2 there, for WebSockets and EventSources, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from certificates import secure
from playwright.sync_api import Page, expect
from project_page import ARTIFACTS_URL, ProjectPage
from staged_model import Stage


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A browser to which the test's authority is as good as any."""
    return {**browser_context_args, "ignore_https_errors": True}


@pytest.fixture
def server_settings(tmp_path: Path) -> dict[str, Any]:
    """As everywhere here, but over https."""
    return secure(tmp_path).settings


@pytest.fixture
def handshakes(page: Page) -> list[int]:
    """The HTTP statuses with which WebSockets of the page were opened: 200 over HTTP/2, 101 over HTTP/1.1."""
    seen: list[int] = []
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.on(
        "Network.webSocketHandshakeResponseReceived", lambda answer: seen.append(answer["response"]["status"])
    )
    return seen


def test_run_is_followed_live_over_http2(
    handshakes: list[int], project_page: ProjectPage, stage: Stage, complaints: list[str]
) -> None:
    """A run is started and followed to its end; page and WebSocket come over HTTP/2, without a complaint."""
    project_page.start("ba_consultant")
    stage.progress("ba_consultant", 40, "Reading")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "40")
    protocol = project_page.page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    stage.finish("ba_consultant")
    expect(project_page.page).to_have_url(ARTIFACTS_URL)
    assert (protocol, set(handshakes), complaints) == ("h2", {200}, [])


def test_ten_event_sources_of_one_page_are_live_at_once(
    project_page: ProjectPage, stage: Stage, complaints: list[str]
) -> None:
    """More streams than a browser opens over HTTP/1.1 all get an event before any of them has ended."""
    page = project_page.page
    run_id = project_page.start("ba_consultant")
    page.evaluate(
        """runId => {
            globalThis.sources = Array.from({ length: 10 }, () => {
                const source = new EventSource(`/api/v1/events/agent-runs/${runId}`);
                source.onmessage = ({ data }) => { source.seen = data; };
                return source;
            });
        }""",
        run_id,
    )
    stage.progress("ba_consultant", 40, "Reading")
    page.wait_for_function("() => sources.every(({ seen }) => seen?.includes('Reading'))")
    stage.fail("ba_consultant", "no")  # after a success the page would go elsewhere
    page.wait_for_function("() => sources.every(({ readyState }) => readyState === EventSource.CLOSED)")
    assert complaints == []
