"""A run followed over a network that fails: cut, stalled, refused, without WebSocket, with damaged messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from elsewhere import run_once
from live_server import LiveServer
from playwright.sync_api import Page, WebSocketRoute, expect
from project_page import ARTIFACTS_URL, ProjectPage
from proxy import Proxy
from staged_model import Stage

WEBSOCKET = b"GET /api/v1/ws"
HEARTBEAT_S = 5.0
STALL_S = 20.0
SOCKET_URL = re.compile("/api/v1/ws$")
NO_SERVER = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n\r\n404 page not found\n"


@pytest.fixture
def far_page(server: LiveServer, sign_in: None, proxy: Proxy, page: Page) -> ProjectPage:
    """The project's page, open through the proxy."""
    return ProjectPage(page, proxy.url, server.home.project_id).open()


def record_ids(page: Page, run_id: str) -> Callable[[], list[int]]:
    """Follow the run in the page with a client of its own from the first event on; the ids it had, once it ended.

    Where it ends well, time in the page has to be frozen before: the page would go elsewhere.
    """
    page.evaluate(
        """async runId => {
            const { RunClient } = await import('/static/run-client.js');
            globalThis.ids = [];
            globalThis.watch = new RunClient().watch(runId, { after: 0 });
            watch.addEventListener('event', ({ detail }) => ids.push(detail.id));
        }""",
        run_id,
    )
    page.wait_for_function("() => watch.connection.state === 'live'")

    def ids() -> list[int]:
        page.wait_for_function("() => watch.ending?.reason === 'finished'")
        return list(page.evaluate("ids"))

    return ids


def expect_contiguous(ids: list[int]) -> None:
    """Every event once, in order, from the first on."""
    assert ids == list(range(1, len(ids) + 1))


def test_connection_cut_and_healed_is_resumed_without_a_gap(
    far_page: ProjectPage, proxy: Proxy, stage: Stage, provoked: None
) -> None:
    """What happened while the line was dead arrives after it; meanwhile nothing is claimed, and no time passes."""
    run_id = far_page.start("ba_consultant", "qa_consultant")
    ids = record_ids(far_page.page, run_id)
    far_page.mark()
    stage.progress("ba_consultant", 20, "Reading")
    expect(far_page.card("ba_consultant")).to_have_attribute("progress", "20")
    proxy.cut()
    expect(far_page.connection).to_have_text("Reconnecting…")
    elapsed = far_page.part("elapsed").text_content()
    stage.progress("ba_consultant", 80, "Writing")
    stage.finish("ba_consultant")
    expect(far_page.said).to_contain_text("The connection is lost")
    assert far_page.part("elapsed").text_content() == elapsed
    proxy.heal()
    far_page.expect_card("qa_consultant", "running")
    expect(far_page.connection).to_have_text("Live")
    expect(far_page.said).to_contain_text("The connection is back")
    expect(far_page.part("elapsed")).not_to_have_text(elapsed or "")
    far_page.expect_unreloaded()
    stage.fail("qa_consultant", "no")
    expect_contiguous(ids())


def test_connection_lost_for_good_lets_a_new_run_be_started_without_reload(
    far_page: ProjectPage, proxy: Proxy, stage: Stage, provoked: None
) -> None:
    """Without news of the first run nobody has to wait for it."""
    far_page.start("ba_consultant")
    far_page.mark()
    expect(far_page.start_button).to_be_disabled()
    proxy.cut()
    expect(far_page.connection).not_to_have_text("Live")
    expect(far_page.start_button).to_be_enabled()
    far_page.start_button.click()
    expect(far_page.page.locator("#start-error")).to_contain_text("could not be reached")
    far_page.page.context.set_offline(True)
    expect(far_page.connection).to_have_text(re.compile(r"^Offline since \d+:\d\d(\s[AP]M)?, still trying$"))
    proxy.heal()
    far_page.page.context.set_offline(False)
    expect(far_page.connection).to_have_text("Live")
    stage.fail("ba_consultant", "no")
    expect(far_page.banner).to_be_visible()
    far_page.start("qa_consultant")
    far_page.expect_card("qa_consultant", "running")
    expect(far_page.page.locator("#start-error")).to_be_hidden()
    far_page.expect_unreloaded()


@pytest.mark.parametrize("server_settings", [{"heartbeat_s": HEARTBEAT_S}], ids=["frequent"])
def test_line_stalled_for_twenty_seconds_is_given_up_and_resumed_without_a_gap(
    server: LiveServer, far_page: ProjectPage, proxy: Proxy, stage: Stage
) -> None:
    """A line that is neither up nor down is told by three heartbeats that do not come, while it still stalls; what
    happened meanwhile arrives after it."""
    page = far_page.page
    run_id = far_page.start("ba_consultant", "qa_consultant")
    ids = record_ids(page, run_id)
    far_page.mark()
    stage.progress("ba_consultant", 20, "Reading")
    expect(far_page.card("ba_consultant")).to_have_attribute("progress", "20")
    proxy.stall()
    stalled_ms = page.evaluate("Date.now()")
    stage.finish("ba_consultant")
    run_once(server, run_id, lambda run: run.steps[1].status == "running")
    expect(far_page.connection).to_have_text("Reconnecting…")
    assert page.evaluate("Date.now()") - stalled_ms > 2 * HEARTBEAT_S * 1000
    page.wait_for_function("until => Date.now() >= until", arg=stalled_ms + STALL_S * 1000)
    expect(far_page.connection).to_have_text("Reconnecting…")
    far_page.expect_card("ba_consultant", "running")
    proxy.heal()
    far_page.expect_card("qa_consultant", "running")
    expect(far_page.connection).to_have_text("Live")
    far_page.expect_unreloaded()
    stage.fail("qa_consultant", "no")
    expect_contiguous(ids())


def test_server_restarted_during_a_run_is_followed_on(
    server: LiveServer, project_page: ProjectPage, stage: Stage, provoked: None
) -> None:
    """The run is taken over by the new server; the page sees it through without a reload, and without a gap."""
    page = project_page.page
    page.clock.install()
    ids = record_ids(page, project_page.open().start("ba_consultant", "qa_consultant"))
    project_page.mark()
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
    server.stop()
    expect(project_page.connection).not_to_have_text("Live")
    server.start()
    expect(project_page.connection).to_have_text("Live")
    project_page.expect_unreloaded()
    page.wait_for_function("() => watch.connection.state === 'live'")
    project_page.freeze_time()
    stage.finish("qa_consultant")
    expect_contiguous(ids())
    expect(project_page.toast).to_be_visible()
    project_page.let_pass(1_500)
    expect(page).to_have_url(ARTIFACTS_URL)


def test_websocket_refused_falls_back_to_event_source(
    far_page: ProjectPage, proxy: Proxy, stage: Stage, provoked: None
) -> None:
    """Where WebSockets stop to get through in mid-run, the run is followed all the same, from the same cursor; what a
    proxy says of a server that it cannot reach just now is not believed."""
    page = far_page.page
    page.clock.install()
    ids = record_ids(page, far_page.open().start("ba_consultant"))
    expect(far_page.connection).to_have_attribute("data-transport", "websocket")
    stage.progress("ba_consultant", 20, "Reading")
    expect(far_page.card("ba_consultant")).to_have_attribute("progress", "20")
    proxy.refuse(WEBSOCKET)
    proxy.break_all()
    expect(far_page.connection).to_have_attribute("data-transport", "sse")
    expect(far_page.connection).to_have_text("Live")
    stage.progress("ba_consultant", 50, "Writing")
    expect(far_page.card("ba_consultant")).to_have_attribute("progress", "50")
    with page.expect_response(lambda answer: (answer.request.method, answer.status) == ("HEAD", 404)):
        proxy.refuse(b"", NO_SERVER)
        proxy.break_all()
    expect(far_page.connection).to_have_text("Reconnecting…")
    proxy.refuse(WEBSOCKET)
    stage.progress("ba_consultant", 80, "Writing more")
    expect(far_page.card("ba_consultant")).to_have_attribute("progress", "80")
    page.wait_for_function("() => watch.connection.state === 'live'")
    far_page.freeze_time()
    stage.finish("ba_consultant")
    expect_contiguous(ids())
    expect(far_page.toast).to_be_visible()
    far_page.let_pass(1_500)
    expect(page).to_have_url(ARTIFACTS_URL)


def test_websocket_refused_from_the_start_is_replaced_by_event_source(
    far_page: ProjectPage, proxy: Proxy, stage: Stage, provoked: None
) -> None:
    """Where there have never been WebSockets, runs are started, followed and listed over the other way."""
    proxy.refuse(WEBSOCKET)
    far_page.open().start("ba_consultant")
    expect(far_page.connection).to_have_attribute("data-transport", "sse")
    expect(far_page.page.locator("#runs .chip")).to_have_text("Running")
    stage.finish("ba_consultant")
    expect(far_page.page).to_have_url(ARTIFACTS_URL)


def test_malformed_messages_are_reported_and_the_run_followed_on(project_page: ProjectPage, stage: Stage) -> None:
    """A visible notice, a warning on the console, no uncaught error; the run goes on."""
    warnings: list[str] = []
    project_page.page.on("console", lambda said: warnings.append(said.text) if said.type == "warning" else None)
    routes: list[WebSocketRoute] = []

    def pass_on(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    project_page.page.route_web_socket(SOCKET_URL, pass_on)
    project_page.open().start("ba_consultant")
    for wrong in ("{", "[1]", '{"id":99,"type":"exploded"}', '{"id":99,"type":"running","payload":null}', "\u0000"):
        routes[0].send(wrong)
    while len(warnings) < 5:
        project_page.page.wait_for_event("console")
    expect(project_page.page.locator("#notices")).to_contain_text("could not be read")
    project_page.page.get_by_role("button", name="Dismiss").click()
    expect(project_page.page.locator("#notices .notice")).to_have_count(0)
    stage.progress("ba_consultant", 30, "Reading")
    expect(project_page.card("ba_consultant")).to_have_attribute("progress", "30")
    stage.finish("ba_consultant")
    expect(project_page.page).to_have_url(ARTIFACTS_URL)
    assert len(warnings) == 5


def test_message_damaged_on_the_way_is_asked_for_again(project_page: ProjectPage, stage: Stage) -> None:
    """An event that could not be read leaves no card behind what really happened."""

    def damage(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        server.on_message(
            lambda text: route.send(text[:40] if '"artifact_id"' in text and '"op"' not in text else text)
        )

    project_page.page.route_web_socket(SOCKET_URL, damage)
    project_page.open().start("ba_consultant", "qa_consultant")
    stage.finish("ba_consultant")
    project_page.expect_card("qa_consultant", "running")
    project_page.expect_card("ba_consultant", "complete")


def test_event_source_by_itself_reads_the_endpoint_to_its_end(project_page: ProjectPage, stage: Stage) -> None:
    """The browser's own EventSource gets every event from the first, and stops for good after the last."""
    page = project_page.page
    run_id = project_page.start("ba_consultant")
    page.evaluate(
        """runId => {
            globalThis.seen = [];
            globalThis.source = new EventSource(`/api/v1/events/agent-runs/${runId}`);
            source.onmessage = ({ data, lastEventId }) => seen.push([Number(lastEventId), JSON.parse(data)]);
        }""",
        run_id,
    )
    stage.progress("ba_consultant", 40, "Reading")
    page.wait_for_function("() => seen.some(([, { payload }]) => payload.progress_pct === 40)")
    stage.fail("ba_consultant", "no")
    page.wait_for_function("() => source.readyState === EventSource.CLOSED")
    seen: list[tuple[int, dict[str, Any]]] = page.evaluate("seen")
    assert [event_id for event_id, _ in seen] == list(range(1, len(seen) + 1))
    assert [event["type"] for _, event in seen] == ["queued", "running", "running", "error", "complete"]
    assert all(sorted(event) == ["payload", "run_id", "type"] for _, event in seen)
    assert seen[-1][1]["payload"]["error"] is True


def test_session_over_while_following_offers_sign_in(
    server: LiveServer, project_page: ProjectPage, page: Page, provoked: None
) -> None:
    """Who is no longer signed in is told so, once, and not kept waiting."""
    project_page.start("ba_consultant")
    page.context.clear_cookies()
    server.stop()
    server.start()
    expect(project_page.banner).to_contain_text("no longer signed in")
    link = project_page.banner.get_by_role("link", name="Sign in")
    expect(link).to_have_attribute("href", re.compile(r"^/sign-in\?next=%2Fprojects%2F.+%2Fruns%2F"))
    expect(page.locator("#runs [role=alert]")).to_be_hidden()
    expect(project_page.start_button).to_be_enabled()
