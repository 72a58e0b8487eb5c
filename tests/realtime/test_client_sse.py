"""Watching over SSE, chosen or fallen back to, against a peer that does what it should not."""

from __future__ import annotations

import json
from functools import partial

import pytest
from client_stage import PROJECT, RUN, Peer, Stage, attach, collect, event, last, snapshot, sse

from realtime.client import (
    ConnectionState,
    ForbiddenError,
    NotAuthenticatedError,
    Reset,
    RunClient,
    RunEvent,
    RunNotFoundError,
    ServerRefusedError,
    Transport,
)
from realtime.client import watch as client_watch
from realtime.client.items import Backoff

HEARTBEAT = sse({"type": "heartbeat", "run_id": RUN, "payload": {}}, with_id=False)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_watch, "Backoff", partial(Backoff, lambda low, high: 0.0))


def sse_client(stage: Stage, silence_s: float = 45.0) -> RunClient:
    """A client that speaks nothing but SSE."""
    return RunClient(stage.url, "secret", transports=[Transport.SSE], silence_s=silence_s)


async def rest_of_five(peer: Peer) -> None:
    """Stream whatever is left of a log of five events."""
    peer.stream()
    after = int(peer.request.headers.get("Last-Event-ID", "0"))
    peer.part("retry: 0\n\n" + "".join(sse(event(number)) for number in range(after + 1, 5)) + sse(last(5)))
    peer.end()


async def test_whole_run_yields_each_event_and_ends() -> None:
    """Heartbeats and unknown runs are left out, chunks may end anywhere, the terminal event ends the loop."""

    async def script(peer: Peer) -> None:
        assert peer.request.path == f"/api/v1/events/agent-runs/{RUN}"
        assert peer.request.headers["Authorization"] == "Bearer secret"
        assert "Last-Event-ID" not in peer.request.headers
        peer.stream()
        wire = sse(event(1, agent_type="ba_consultant"))
        peer.part("retry: 2000\n\n" + wire[:9])
        peer.part(wire[9:] + HEARTBEAT + sse(event(2) | {"run_id": "other"}) + sse(last(2)))

    async with Stage(script) as stage, sse_client(stage) as client:
        items = [item async for item in client.watch(RUN)]
        await stage.peers[0].closed.wait()
    assert items[0] == RunEvent(RUN, 1, "running", {"agent_type": "ba_consultant"})
    assert [item.id for item in items] == [1, 2]


async def test_stream_that_ends_resumes_after_the_last_event() -> None:
    """Neither a clean end nor a cut inside an event loses or repeats anything; ``retry:`` is honoured."""
    states: list[ConnectionState] = []

    async def ends(peer: Peer) -> None:
        peer.stream()
        peer.part("retry: 30\n\n" + sse(event(1)))
        peer.end()

    async def cut(peer: Peer) -> None:
        assert peer.request.headers["Last-Event-ID"] == "1"
        peer.stream()
        peer.part(sse(event(2)) + sse(event(3))[:-5])
        peer.raw(b"40\r\nda")
        await peer.closed.wait()

    async with Stage(ends, cut, rest_of_five) as stage, sse_client(stage) as client:
        watch = client.watch(RUN, on_connection=states.append)
        ids = [(await anext(watch)).id, (await anext(watch)).id]
        stage.peers[1].cut()
        ids += [item.id async for item in watch]
    assert ids == [1, 2, 3, 4, 5]
    assert next(state for state in states if state.state == "waiting").retry_in_s == pytest.approx(0.03)


async def test_no_content_ends_the_watch() -> None:
    """Status 204 says that the cursor is at the terminal event: nothing is left."""

    async def script(peer: Peer) -> None:
        assert peer.request.headers["Last-Event-ID"] == "5"
        peer.raw(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with Stage(script) as stage, sse_client(stage) as client:
        assert await collect(client.watch(RUN, 5)) == []


@pytest.mark.parametrize(
    "wrong",
    [sse(event(4)), "id: 3\ndata: {\n\n", "id: three\n" + sse(event(3), with_id=False)],
    ids=["gap", "no-json", "bad-id"],
)
async def test_broken_promise_reconnects_from_the_cursor(wrong: str) -> None:
    """A gap or an event that cannot be read leads to another request, from the cursor."""

    async def script(peer: Peer) -> None:
        peer.stream()
        peer.part(sse(event(1)) + sse(event(2)) + wrong)
        await peer.closed.wait()

    async with Stage(script, rest_of_five) as stage, sse_client(stage) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


async def test_silent_stream_is_left() -> None:
    """When no byte comes for ``silence_s``, the connection counts as lost."""

    async def script(peer: Peer) -> None:
        peer.stream()
        peer.part(sse(event(1)))
        await peer.closed.wait()

    async with Stage(script, rest_of_five) as stage, sse_client(stage, silence_s=0.5) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"error": "NOT_AUTHENTICATED", "message": "because"}, NotAuthenticatedError),
        (403, {"error": "FORBIDDEN", "message": "because"}, ForbiddenError),
        (404, {"error": "RUN_NOT_FOUND", "message": "because"}, RunNotFoundError),
        (400, {"error": "INVALID_ID", "message": "because"}, ServerRefusedError),
        (404, None, ServerRefusedError),
    ],
)
async def test_refusal_raises_its_own_error(
    status: int, body: dict[str, str] | None, expected: type[ServerRefusedError]
) -> None:
    """What asking again cannot change is raised and not retried; an answer of somebody else is called by status."""

    async def script(peer: Peer) -> None:
        peer.answer(status, b"<html>" if body is None else json.dumps(body).encode())

    async with Stage(script) as stage, sse_client(stage) as client:
        with pytest.raises(expected) as caught:
            await collect(client.watch(RUN))
    assert type(caught.value) is expected
    assert caught.value.status == status
    assert caught.value.code == ("HTTP_404" if body is None else body["error"])


async def test_busy_server_is_asked_again_when_it_says() -> None:
    """Status 503 is passing, and its Retry-After is honoured."""
    states: list[ConnectionState] = []

    async def script(peer: Peer) -> None:
        peer.answer(503, Retry_After="1")

    async with Stage(script) as stage, sse_client(stage) as client:
        watch = client.watch(RUN, on_connection=states.append, max_wait_s=0.6)
        with pytest.raises(Exception, match="HTTP status 503"):
            await anext(watch)
    assert states[-1].retry_in_s == 1


async def test_reset_brings_the_run_as_it_is_now() -> None:
    """The folded events of a reset become one Reset with the snapshot; what follows goes on from there."""
    folded = [
        {"type": "queued", "run_id": RUN, "payload": {"reset": {"reason": "malformed_cursor", "cursor": 7}}},
        {"type": "running", "run_id": RUN, "payload": {}, "id": 7},
    ]
    project = {"id": PROJECT, "slug": "p", "name": "P", "role": "owner"}

    async def script(peer: Peer) -> None:
        peer.stream()
        peer.part("".join(sse(part) for part in folded))
        peer.part(sse(event(8)) + sse(last(9)))

    async def projects(peer: Peer) -> None:
        peer.answer(200, json.dumps({"projects": [project]}).encode())

    async def run(peer: Peer) -> None:
        assert peer.request.path == f"/api/v1/projects/{PROJECT}/agent-runs/{RUN}"
        peer.answer(200, json.dumps(snapshot(8)).encode())

    async with Stage(script, projects, run) as stage, sse_client(stage) as client:
        items = [item async for item in client.watch(RUN, 80)]
    assert isinstance(items[0], Reset)
    assert items[0].reason == "malformed_cursor"
    assert [item.id for item in items] == [8, 9]


async def test_reset_whose_state_cannot_be_read_is_asked_for_again() -> None:
    """When the server falters between the reset and the state, nothing is yielded until both are there."""

    async def script(peer: Peer) -> None:
        peer.stream()
        peer.part(sse({"type": "queued", "run_id": RUN, "payload": {"reset": {"reason": "x", "cursor": 7}}}))
        await peer.closed.wait()

    async def falters(peer: Peer) -> None:
        peer.answer(502)

    async def vanishes(peer: Peer) -> None:
        peer.cut()

    async with Stage(script, falters, script, vanishes, rest_of_five) as stage, sse_client(stage) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("status", [200, 400, 403, 404, 426])
async def test_socket_that_cannot_be_had_falls_back_at_once(status: int) -> None:
    """A server or proxy that answers the handshake with something else is asked for SSE without waiting."""
    states: list[ConnectionState] = []

    async def refuses(peer: Peer) -> None:
        peer.answer(status)

    async with Stage(refuses, rest_of_five) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, on_connection=states.append)) == [1, 2, 3, 4, 5]
    assert [(state.state, state.transport.value) for state in states] == [
        ("connecting", "websocket"),
        ("waiting", "websocket"),
        ("connecting", "sse"),
        ("live", "sse"),
    ]
    assert states[1].retry_in_s == 0


async def test_socket_of_another_protocol_falls_back_at_once() -> None:
    """A WebSocket that does not agree to the subprotocol is not ours."""

    async def other(peer: Peer) -> None:
        await peer.accept(subprotocol=None)

    async with Stage(other, rest_of_five) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


async def test_socket_that_fails_twice_without_an_event_falls_back() -> None:
    """Two failures in a row without an event lead to SSE, from the same cursor; one failure does not."""

    async def works(peer: Peer) -> None:
        await attach(peer)
        peer.say(event(1), event(2))
        peer.close(1012)

    async def silent(peer: Peer) -> None:
        peer.cut()

    async def busy(peer: Peer) -> None:
        peer.answer(503)

    async def then_sse(peer: Peer) -> None:
        assert peer.request.headers["Last-Event-ID"] == "2"
        assert "Upgrade" not in peer.request.headers
        await rest_of_five(peer)

    async with Stage(works, silent, then_sse) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]
    async with Stage(silent, busy, rest_of_five) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


async def test_stream_that_cannot_be_had_goes_back_to_the_socket() -> None:
    """A page in place of the event stream means that SSE does not pass here either: the WebSocket is tried again."""

    async def refuses(peer: Peer) -> None:
        peer.answer(426)

    async def page(peer: Peer) -> None:
        peer.answer(200, b"<html>", kind="text/html")

    async def works(peer: Peer) -> None:
        await attach(peer)
        peer.say(last(1))

    async with Stage(refuses, page, works) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1]
