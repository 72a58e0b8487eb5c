"""Watching over WebSocket, against a peer that does what it should not."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from client_stage import RUN, WELCOME, Peer, Stage, attach, collect, event, last, snapshot, subscribed

from realtime.client import (
    ConnectionState,
    ForbiddenError,
    NotAuthenticatedError,
    Reset,
    RunClient,
    RunEvent,
    RunNotFoundError,
    ServerRefusedError,
)
from realtime.client import watch as client_watch
from realtime.client.items import Backoff


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_watch, "Backoff", partial(Backoff, lambda low, high: 0.0))


async def to_the_end(peer: Peer) -> None:
    """Serve whatever is left of a log of five events."""
    frame = await attach(peer, head=5)
    peer.say(*[event(number) for number in range(frame["last_event_id"] + 1, 5)], last(5))


async def test_whole_run_yields_each_event_and_ends() -> None:
    """Events come with id, type and payload, and the loop ends by itself after the terminal one."""

    async def script(peer: Peer) -> None:
        assert await attach(peer) == {"op": "subscribe", "run_id": RUN}
        assert peer.request.headers["Authorization"] == "Bearer secret"
        assert peer.request.path == "/api/v1/ws"
        peer.say(event(1, "queued", agent_type="ba_consultant"), {"type": "heartbeat", "payload": {}}, last(2))

    async with Stage(script) as stage, RunClient(stage.url, "secret") as client:
        items = [item async for item in client.watch(RUN)]
        await stage.peers[0].closed.wait()
    assert items[0] == RunEvent(RUN, 1, "queued", {"agent_type": "ba_consultant"})
    assert [item.type for item in items] == ["queued", "complete"]
    assert isinstance(items[1], RunEvent)
    assert items[1].terminal
    assert not items[1].failed
    assert stage.peers[0].close_code == 1000


async def test_cursor_given_is_sent_and_repeats_are_dropped() -> None:
    """A given cursor goes to the server; what comes at or below it is not yielded again."""

    async def script(peer: Peer) -> None:
        assert (await attach(peer, 2, 2))["last_event_id"] == 2
        peer.say(event(1), event(2), event(3), event(3), last(4))

    async with Stage(script) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, 2)) == [3, 4]


async def test_cut_inside_a_frame_resumes_after_the_last_whole_event() -> None:
    """A connection that breaks in the middle of an event costs nothing and repeats nothing."""

    async def script(peer: Peer) -> None:
        await attach(peer)
        peer.say(event(1), event(2))
        peer.raw(b"\x81\x7e\x01\x00" + b'{"id":3,')
        await asyncio.sleep(0.02)
        peer.cut()

    async with Stage(script, to_the_end) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        event(4),
        "{",
        "[]",
        {"id": "x", "type": "running", "run_id": RUN, "payload": {}},
        {"run_id": RUN},
        {"op": "error", "code": "INTERNAL", "message": "oops", "fatal": True},
        {"op": "error", "code": "TOO_MANY", "message": "oops", "fatal": True},
        {"op": "finished", "run_id": RUN},
        {"op": "reset", "run_id": RUN, "reason": "log_expired", "cursor": 9},
    ],
    ids=["gap", "no-json", "no-object", "bad-id", "no-event", "internal", "too-many", "early-end", "bare-reset"],
)
async def test_broken_promise_reconnects_from_the_cursor(wrong: dict[str, object] | str) -> None:
    """A gap, a frame that cannot be read, or a passing failure leads to another connection, from the cursor."""

    async def script(peer: Peer) -> None:
        await attach(peer, head=5)
        peer.say(event(1), event(2), wrong)
        await peer.closed.wait()

    async with Stage(script, to_the_end) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


async def test_frames_of_other_subjects_are_ignored() -> None:
    """Unknown operations, other runs, and refused acks do not disturb a watch."""

    async def script(peer: Peer) -> None:
        await attach(peer)
        peer.say(
            {"op": "news", "of": ["tomorrow"]},
            event(7) | {"run_id": "other"},
            {"op": "finished", "run_id": "other"},
            {"op": "error", "code": "ACK_AHEAD", "message": "no", "fatal": False},
            last(1),
        )

    async with Stage(script) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1]


async def test_silent_peer_is_left_after_three_heartbeats() -> None:
    """When no byte comes for three of the server's heartbeats, the connection counts as lost."""
    states: list[ConnectionState] = []

    async def silent(peer: Peer) -> None:
        await peer.accept()
        peer.say(WELCOME | {"heartbeat_s": 0.03}, subscribed(), event(1))
        await peer.closed.wait()

    async with Stage(silent, to_the_end) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, on_connection=states.append)) == [1, 2, 3, 4, 5]
    assert [state.state for state in states] == ["connecting", "live", "waiting", "connecting", "live"]
    assert "nothing was heard" in states[2].reason


async def test_pings_alone_keep_a_quiet_connection() -> None:
    """Any byte is life: a peer that only pings, for longer than three heartbeats, is not left."""

    async def pinging(peer: Peer) -> None:
        await peer.accept()
        peer.say(WELCOME | {"heartbeat_s": 0.3}, subscribed())
        for _ in range(8):
            await asyncio.sleep(0.15)
            peer.ping()
        peer.say(last(1))

    async with Stage(pinging) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1]
    assert len(stage.peers) == 1


async def test_draining_server_is_given_the_time_it_asks_for() -> None:
    """After ``draining`` the next connection is made no sooner than the server said."""
    states: list[ConnectionState] = []

    async def draining(peer: Peer) -> None:
        await attach(peer)
        peer.say(event(1), {"op": "draining", "retry_after_ms": 80})
        peer.close(1012)

    async with Stage(draining, to_the_end) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, on_connection=states.append)) == [1, 2, 3, 4, 5]
    assert next(state for state in states if state.state == "waiting").retry_in_s == pytest.approx(0.08)


async def test_reset_is_yielded_with_the_snapshot_and_followed_by_later_events() -> None:
    """A cursor that cannot be served gives a Reset; what comes after the new cursor goes on as usual."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        frame = {"run_id": RUN, "reason": "cursor_ahead_of_log", "snapshot": snapshot(3), "cursor": 3}
        peer.say(WELCOME, {"op": "reset"} | frame, last(4))

    async with Stage(script) as stage, RunClient(stage.url) as client:
        watch = client.watch(RUN, 80)
        items = [item async for item in watch]
        assert watch.snapshot is not None
    reset = items[0]
    assert isinstance(reset, Reset)
    assert (reset.id, reset.type, reset.reason) == (3, "reset", "cursor_ahead_of_log")
    assert reset.payload["snapshot"]["last_event_id"] == 3
    assert items[1].id == 4


async def test_reset_of_an_ended_run_is_the_last_item() -> None:
    """Where the log is gone and the run has ended, the state is all there is."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.say(
            {
                "op": "reset",
                "run_id": RUN,
                "reason": "log_expired",
                "snapshot": snapshot(9, "completed"),
                "cursor": 9,
            }
        )

    async with Stage(script) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [9]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("NOT_AUTHENTICATED", NotAuthenticatedError),
        ("FORBIDDEN", ForbiddenError),
        ("RUN_NOT_FOUND", RunNotFoundError),
        ("BAD_FRAME", ServerRefusedError),
    ],
)
async def test_error_frame_that_is_final_raises_its_own_error(code: str, expected: type[ServerRefusedError]) -> None:
    """What asking again cannot change is raised, with the server's words, and not retried."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.say({"op": "error", "code": code, "message": "because", "fatal": False})

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(expected, match=f"{code}: because") as caught:
            await collect(client.watch(RUN))
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [(4401, NotAuthenticatedError), (4403, ForbiddenError), (4400, ServerRefusedError)],
)
async def test_close_code_that_is_final_raises_its_own_error(code: int, expected: type[Exception]) -> None:
    """A close code carries policy: these say that something must change first."""

    async def script(peer: Peer) -> None:
        await attach(peer)
        peer.close(code, "why")

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(expected, match="why"):
            await collect(client.watch(RUN))


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4408, 4429])
async def test_close_code_that_passes_reconnects(code: int) -> None:
    """Every other close code, a normal one included, leads to another connection while the run goes on."""

    async def script(peer: Peer) -> None:
        await attach(peer)
        peer.say(event(1))
        peer.close(code)

    async with Stage(script, to_the_end) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN)) == [1, 2, 3, 4, 5]


async def test_unauthorised_handshake_raises_not_authenticated() -> None:
    """HTTP status 401 instead of a handshake is final."""

    async def script(peer: Peer) -> None:
        peer.answer(401)

    async with Stage(script) as stage, RunClient(stage.url) as client:
        with pytest.raises(NotAuthenticatedError):
            await collect(client.watch(RUN))


async def test_finished_without_events_ends_the_watch() -> None:
    """A cursor at the terminal event gives nothing and ends."""

    async def script(peer: Peer) -> None:
        await attach(peer, 5, 5)
        peer.say({"op": "finished", "run_id": RUN})

    async with Stage(script) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, 5)) == []


async def test_client_id_acks_what_was_handled_and_starts_at_the_stored_ack() -> None:
    """With a client id the server's stored ack is the start, and an event is acked once the next is asked for."""

    async def script(peer: Peer) -> None:
        assert await attach(peer, 3, 3) == {"op": "subscribe", "run_id": RUN, "client_id": "ci"}
        peer.say(event(4))
        assert await peer.hear() == {"op": "ack", "run_id": RUN, "event_id": 4}
        peer.say(last(5))
        assert await peer.hear() == {"op": "ack", "run_id": RUN, "event_id": 5}

    async with Stage(script) as stage, RunClient(stage.url) as client:
        assert await collect(client.watch(RUN, client_id="ci")) == [4, 5]
        await stage.peers[0].closed.wait()
