"""curl reads the SSE stream, over HTTP/1.1 and 1.0, directly and through nginx."""

from __future__ import annotations

from uuid import uuid4

import pytest
from live import LiveServer
from peers.curl import curl
from peers.following import follow
from seeded import SeededRun, all_gone

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSIONS = {"http1.1": ("--http1.1",), "http1.0": ("--http1.0", "--raw"), "compressed": ("--compressed",)}
OF_ITS_OWN = {"date", "x-request-id", "transfer-encoding"}
"""What two heads of the same resource may differ in: each its own, and how the body is framed that one has."""


def stream_url(way: str, run: SeededRun) -> str:
    """Where the run's SSE stream is."""
    return f"{way}/api/v1/events/agent-runs/{run.id}"


@pytest.mark.parametrize("options", VERSIONS.values(), ids=VERSIONS)
async def test_curl_on_a_live_run_prints_each_event_as_it_happens(
    server: LiveServer, run: SeededRun, way: str, options: tuple[str, ...]
) -> None:
    """No event waits for the next one; with the terminal event curl ends, content, whatever it had offered."""
    async with curl(server, stream_url(way, run), *options) as viewer:
        assert (viewer.status, viewer.headers["content-type"]) == (200, "text/event-stream")
        assert "content-encoding" not in viewer.headers
        arrived = await follow(run, viewer.event)
        assert await viewer.event() is None
        assert await viewer.rest() == b""
    assert arrived == await server.log(run.id)


async def test_curl_with_a_cursor_goes_on_after_it(server: LiveServer, run: SeededRun, way: str) -> None:
    """``Last-Event-ID: 3`` of a live run: event 4 is the first, and what happens from then on follows."""
    await run.progress("one", "two", "three")
    async with curl(server, stream_url(way, run), "-H", "Last-Event-ID: 3") as viewer:
        arrived = await follow(run, viewer.event)
        assert await viewer.event() is None
    log = await server.log(run.id)
    assert arrived == log[3:]
    assert [event["id"] for event in log] == list(range(1, len(log) + 1))


async def test_curl_at_the_end_of_a_run_is_told_to_stop(server: LiveServer, run: SeededRun, way: str) -> None:
    """The cursor at the terminal event: 204, no body, exit code 0."""
    await run.finish()
    async with curl(server, stream_url(way, run), "-H", "Last-Event-ID: 2") as viewer:
        assert viewer.status == 204
        assert await viewer.rest() == b""


async def test_curl_over_http10_prints_the_same_body(server: LiveServer, run: SeededRun, way: str) -> None:
    """Byte for byte that of HTTP/1.1 without its chunks, which HTTP/1.0 does not know."""
    await run.progress("one", "x" * 70_000)
    await run.finish()
    async with curl(server, stream_url(way, run), "--http1.1") as viewer:
        chunked, body = viewer.headers, await viewer.rest()
    async with curl(server, stream_url(way, run), "--http1.0", "--raw") as viewer:
        plain, raw = viewer.headers, await viewer.rest()
    assert chunked["transfer-encoding"] == "chunked"
    assert plain["connection"] == "close"
    assert "transfer-encoding" not in plain
    assert raw == body
    assert body.startswith(b"retry: 2000\n\nid: 1\ndata: {")


async def test_curl_for_two_streams_in_a_row_gets_both_whole(server: LiveServer, run: SeededRun, way: str) -> None:
    """Whether the connection is used again or not, the second answer begins where the first has ended."""
    await run.finish()
    url = stream_url(way, run)
    async with curl(server, url, "-w", "|", url) as viewer:
        first, _, second = (await viewer.rest()).partition(b"|")
    assert first.count(b"\nid: ") == 2
    assert second.startswith(b"HTTP/1.1 200")
    assert second.endswith(first + b"|")


async def test_curl_that_leaves_is_let_go(server: LiveServer, run: SeededRun, way: str) -> None:
    """When a viewer of a live run has gone nothing of it is left, though nothing is sent that could fail."""
    async with curl(server, stream_url(way, run)) as viewer:
        assert await viewer.event() == (await server.log(run.id))[0]
        assert server.home.backend.broadcaster.viewers
    await all_gone(server)


async def test_curl_asking_for_the_head_of_what_is_refused_is_told_that_the_server_says_it(
    server: LiveServer, run: SeededRun, way: str
) -> None:
    """By its type: a browser that cannot read why a stream was refused tells it by that from a page of a proxy."""
    stream = stream_url(way, run)
    for url, status in ((stream.replace(run.id, str(uuid4())), 404), (f"{stream}x", 400)):
        async with curl(server, url, "-I") as viewer:
            assert (viewer.status, viewer.headers["content-type"]) == (status, "application/json")


async def test_curl_asking_for_the_head_gets_that_of_the_stream(server: LiveServer, run: SeededRun, way: str) -> None:
    """HEAD of a live run ends at once, with the headers of GET and not one byte of body.

    A byte too many would spoil the connection for the second request, which goes over the same one.
    """
    url = stream_url(way, run)
    async with curl(server, url, "-I", "-w", "%{num_connects}|", url) as viewer:
        head, rest = viewer.headers, await viewer.rest()
    assert viewer.status == 200
    assert (rest[:2], rest[-2:]) == (b"1|", b"0|")
    async with curl(server, url) as viewer:
        full = viewer.headers
    for headers in (head, full):
        for name in OF_ITS_OWN:
            headers.pop(name, None)
    assert head == full
