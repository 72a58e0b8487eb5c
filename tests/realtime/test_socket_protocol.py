"""The WebSocket protocol ``runcast.v1`` over a real connection: each op, each answer, a run from start to end."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from live import GatedModel, LiveServer, without_clock
from raw_peer import raw_socket
from seeded import all_gone, seed_run
from socket_stage import bare_socket, finished_run, subscribe


async def test_handshake_with_token_welcomes_with_limits(server: LiveServer) -> None:
    """The subprotocol is chosen, no extension is, and ``welcome`` tells heartbeat, limits and the server's time."""
    async with bare_socket(server, additional_headers=server.headers) as socket:
        welcome = await socket.receive()
        assert socket.connection.subprotocol == "runcast.v1"
        assert "Sec-WebSocket-Extensions" not in socket.connection.response.headers
    assert (welcome["op"], welcome["heartbeat_s"]) == ("welcome", 15.0)
    assert welcome["limits"]["frame_bytes"] == 65536
    assert (welcome["limits"]["subscriptions"], welcome["limits"]["frames_per_s"]) == (64, 50)
    assert welcome["server_time"].endswith("Z")


async def test_every_op_with_ref_answers_with_the_ref(server: LiveServer) -> None:
    """The answer to each op repeats its ``ref``, text or number, and an answer without one has none."""
    run = await seed_run(server)
    async with server.socket() as socket:
        assert (await socket.ask({"op": "ping", "ref": 7}))["ref"] == 7
        assert "ref" not in await socket.ask({"op": "ping"})
        for frame, op in (
            (subscribe(run.id, last_event_id=0), "subscribed"),
            ({"op": "ack", "run_id": run.id, "event_id": 0}, "acked"),
            ({"op": "unsubscribe", "run_id": run.id}, "unsubscribed"),
            (subscribe(run.id, last_event_id="x"), "reset"),
            ({"op": "authenticate", "token": server.token}, "welcome"),
            (subscribe(str(uuid4())), "error"),
            ({"op": "no-such-op"}, "error"),
            ({"op": "ack", "run_id": run.id, "event_id": "x"}, "error"),
            ({"op": "watch_everything"}, "error"),
            ({"op": "authenticate", "token": "no token"}, "error"),
        ):
            answer = await socket.ask({**frame, "ref": f"of {op}"})
            assert (answer["op"], answer.get("ref")) == (op, f"of {op}"), answer


async def test_subscribe_without_cursor_starts_at_the_first_event(server: LiveServer, model: GatedModel) -> None:
    """``subscribed`` holds the snapshot as of ``head`` and cursor 0; the whole log follows."""
    run_id = await server.start_run(["ba_consultant"])
    await model.asked["ba_consultant"].wait()
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run_id))
        assert (answer["cursor"], answer["head"], answer["resumed"]) == (0, 2, False)
        assert answer["snapshot"]["last_event_id"] == 2
        assert answer["snapshot"]["steps"][0]["status"] == "running"
        assert without_clock(answer["snapshot"]) == without_clock(await server.snapshot(run_id))
        assert await socket.events_until(2) == await server.log(run_id)


async def test_subscribe_from_now_skips_what_was(server: LiveServer, model: GatedModel) -> None:
    """``from: now`` begins after the head, and is no resumption."""
    run_id = await server.start_run(["ba_consultant"])
    await model.asked["ba_consultant"].wait()
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run_id, **{"from": "now"}))
        assert (answer["cursor"], answer["head"], answer["resumed"]) == (2, 2, False)
        model.finish("ba_consultant")
        assert [event["id"] for event in await socket.events_until()] == [3, 4]


async def test_cursor_given_as_null_is_no_cursor(server: LiveServer) -> None:
    """``last_event_id: null`` is as if it was not there."""
    run = await seed_run(server)
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run.id, last_event_id=None))
        assert (answer["op"], answer["cursor"], answer["resumed"]) == ("subscribed", 0, False)


async def test_several_runs_on_one_connection_are_each_whole(server: LiveServer, model: GatedModel) -> None:
    """Events of runs watched side by side are told apart by run_id, each contiguous, each with its ``finished``."""
    runs = [await server.start_run(["ba_consultant"]) for _ in range(4)]
    async with server.socket() as socket:
        for run_id in runs:
            assert (await socket.ask(subscribe(run_id)))["run_id"] == run_id
        model.finish(*["ba_consultant"] * 4)
        seen: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in runs}
        finished: set[str] = set()
        while finished != set(runs):
            frame = await socket.receive()
            if frame.get("op") == "finished":
                finished.add(frame["run_id"])
            elif "op" not in frame and frame["run_id"] not in finished:
                seen[frame["run_id"]].append(frame)
    # events that were sent before the last `subscribed` were skipped by ask; what is due is in the log
    for run_id in runs:
        ids = [event["id"] for event in seen[run_id]]
        assert ids == list(range(ids[0], 5))
        assert seen[run_id] == (await server.log(run_id))[ids[0] - 1 :]


async def test_subscribing_again_replaces_the_subscription(server: LiveServer) -> None:
    """The second ``subscribe`` of a run starts over at its cursor, and later events come once."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        assert [event["id"] for event in await socket.events_until(1)] == [1]
        await socket.ask(subscribe(run.id, last_event_id=0))
        assert [event["id"] for event in await socket.events_until(1)] == [1]
        assert server.home.backend.broadcaster.viewers == 1
        await run.progress("Reading")
        await run.finish()
        assert [event["id"] for event in await socket.events_until()] == [2, 3]


async def test_unsubscribed_run_sends_nothing_more(server: LiveServer) -> None:
    """After ``unsubscribed`` no event of the run comes; unsubscribing again is NOT_SUBSCRIBED and not fatal."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        assert (await socket.ask({"op": "unsubscribe", "run_id": run.id}))["op"] == "unsubscribed"
        assert server.home.backend.broadcaster.viewers == 0
        await run.progress("Reading")
        again = await socket.ask({"op": "unsubscribe", "run_id": run.id})
        assert (again["code"], again["fatal"], again["run_id"]) == ("NOT_SUBSCRIBED", False, run.id)
        await socket.send({"op": "ping"})
        assert (await socket.receive())["op"] == "pong"


async def test_finished_run_ends_with_finished_and_the_connection_stays(
    server: LiveServer, model: GatedModel
) -> None:
    """Invariant 7: a finished run answers like a live one, then ``finished``; the connection serves on."""
    run_id = await finished_run(server, model)
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run_id))
        assert (answer["op"], answer["snapshot"]["status"]) == ("subscribed", "completed")
        assert await socket.events_until() == await server.log(run_id)
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"
        head = answer["head"]
        assert (await socket.ask(subscribe(run_id, last_event_id=head)))["resumed"] is True
        assert await socket.receive() == {"op": "finished", "run_id": run_id}


async def test_client_that_closes_is_closed_with_1000(server: LiveServer) -> None:
    """A polite client gets its closing handshake, and nothing of it is left."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        await socket.connection.close()
        assert socket.connection.close_code == 1000
    await all_gone(server)


async def test_events_due_together_leave_together(server: LiveServer) -> None:
    """Several events saved at once arrive as several messages, in order, each a whole JSON object."""
    run = await seed_run(server)
    async with raw_socket(server.ws_url, server.headers) as raw:
        assert (await raw.read_json() or {})["op"] == "welcome"
        await raw.send(subscribe(run.id))
        assert (await raw.read_json() or {})["op"] == "subscribed"
        await run.progress(*[f"label {number}" for number in range(20)])
        frames = [await raw.read_json() for _ in range(21)]
    assert [frame and frame["id"] for frame in frames] == list(range(1, 22))
