"""A page that is kept open: what it holds does not grow with the events it has seen."""

from __future__ import annotations

from flood import Flood
from live_server import LiveServer
from playwright.sync_api import CDPSession, expect
from project_page import ALL, ProjectPage

SLACK_BYTES = 400_000
AT_ONCE = 250
"""As many as are surely in memory while they are delivered: the log has none of them."""


def kept(session: CDPSession) -> tuple[int, int]:
    """The bytes of the page's live JavaScript objects, and how many nodes it has."""
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    return int(heap), int(session.send("Memory.getDOMCounters")["nodes"])


def test_page_after_ten_thousand_events_holds_what_it_held_before(
    server: LiveServer, project_page: ProjectPage
) -> None:
    """Every state of every card many times over: heap and nodes are those of the first two thousand events."""
    page = project_page.page
    flood = Flood(server, project_page.start(*ALL))
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")

    def after(events: int) -> tuple[int, int]:
        for _ in range(0, events, AT_ONCE):
            flood.send(AT_ONCE, at_once=AT_ONCE)
            expect(page.locator("#run")).to_have_attribute("data-last-event-id", str(flood.head))
        return kept(session)

    heap_before, nodes_before = after(2_000)
    heap, nodes = after(8_000)
    assert heap - heap_before < SLACK_BYTES
    assert nodes <= nodes_before + 50
