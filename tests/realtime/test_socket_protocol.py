"""The WebSocket protocol ``runcast.v1`` over a real connection: every op, every answer, every limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import websockets
from live import ALL_AGENTS, GatedModel, LiveServer, LiveSocket, live_server, without_clock
from raw_peer import raw_socket
from seeded import all_gone, seed_run

from realtime.ports import User
from realtime.tokens import COOKIE, Tokens


@contextlib.asynccontextmanager
async def bare_socket(server: LiveServer, **options: Any) -> AsyncIterator[LiveSocket]:
    """A connection that brings no identity unless ``options`` do, before anything was received."""
    async with websockets.connect(server.ws_url, subprotocols=["runcast.v1"], **options) as connection:
        yield LiveSocket(connection)


async def rest_of(socket: LiveSocket) -> tuple[list[dict[str, Any]], int | None]:
    """Everything that still comes, and the code with which the server closes."""
    frames = []
    try:
        while True:
            frames.append(await socket.receive())
    except websockets.ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


def subscribe(run_id: str, **more: Any) -> dict[str, Any]:
    """The command to watch a run."""
    return {"op": "subscribe", "run_id": run_id, **more}


async def finished_run(server: LiveServer, model: GatedModel) -> str:
    """A run that went to its end."""
    run_id = await server.start_run()
    model.finish(*ALL_AGENTS)
    async with server.events(run_id) as stream:
        assert [event async for event in stream]
    return run_id


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


async def test_acks_are_cumulative_and_lower_ones_ignored(server: LiveServer) -> None:
    """``acked`` tells the highest id; an ack below it changes nothing, one above the cursor is ACK_AHEAD."""
    run = await seed_run(server)
    await run.progress("a", "b", "c")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="c"))
        await socket.events_until(4)

        async def ack(event_id: int) -> dict[str, Any]:
            return await socket.ask({"op": "ack", "run_id": run.id, "event_id": event_id})

        assert (await ack(3))["event_id"] == 3
        assert (await ack(1))["event_id"] == 3
        ahead = await ack(5)
        assert (ahead["code"], ahead["fatal"], ahead["run_id"]) == ("ACK_AHEAD", False, run.id)
        assert (await ack(4))["event_id"] == 4
        stranger = str(uuid4())
        refused = await socket.ask({"op": "ack", "run_id": stranger, "event_id": 1})
        assert (refused["code"], refused["run_id"]) == ("NOT_SUBSCRIBED", stranger)


async def test_ack_given_back_by_client_id_on_the_next_connection(server: LiveServer) -> None:
    """Acks of a ``client_id`` are kept at disconnect, per client: the next subscription resumes after them."""
    run = await seed_run(server)
    await run.progress("a", "b")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(3)
        assert (await socket.ask({"op": "ack", "run_id": run.id, "event_id": 2}))["op"] == "acked"
        socket.connection.transport.abort()
    await all_gone(server)
    async with server.socket() as socket:
        answer = await socket.ask(subscribe(run.id, client_id="one"))
        assert (answer["cursor"], answer["resumed"]) == (2, True)
        assert (await socket.ask(subscribe(run.id, client_id="two")))["cursor"] == 0
        assert (await socket.ask(subscribe(run.id, client_id="one", last_event_id=1)))["cursor"] == 1


async def test_ack_is_known_at_once_on_the_same_connection(server: LiveServer) -> None:
    """Subscribing again by ``client_id`` right after an ack resumes after that ack."""
    run = await seed_run(server)
    await run.progress("a", "b")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(3)
        await socket.ask({"op": "ack", "run_id": run.id, "event_id": 3})
        assert (await socket.ask(subscribe(run.id, client_id="one")))["cursor"] == 3


async def test_ack_after_finish_is_kept(server: LiveServer, model: GatedModel) -> None:
    """The last events can be acked after ``finished``; the client is then told ``finished`` and nothing else."""
    run_id = await finished_run(server, model)
    async with server.socket() as socket:
        await socket.ask(subscribe(run_id, client_id="one"))
        last = (await socket.events_until())[-1]["id"]
        acked = await socket.ask({"op": "ack", "run_id": run_id, "event_id": last})
        assert acked == {"op": "acked", "run_id": run_id, "event_id": last}
        assert (await socket.ask({"op": "unsubscribe", "run_id": run_id}))["op"] == "unsubscribed"
        assert (await socket.ask(subscribe(run_id, client_id="one")))["cursor"] == last
        assert await socket.receive() == {"op": "finished", "run_id": run_id}


async def test_acks_are_each_users_own(server: LiveServer) -> None:
    """Invariant 9: the same client_id of another user of the project is another viewer."""
    run = await seed_run(server)
    await run.progress("a")
    other = await server.user_with_role("admin")
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id, client_id="one"))
        await socket.events_until(2)
        await socket.ask({"op": "ack", "run_id": run.id, "event_id": 2})
        await socket.ask({"op": "unsubscribe", "run_id": run.id})
    async with server.socket(additional_headers={"Authorization": f"Bearer {other}"}) as socket:
        assert (await socket.ask(subscribe(run.id, client_id="one")))["cursor"] == 0


async def test_authenticate_as_first_frame_opens_the_connection(server: LiveServer) -> None:
    """A client without cookie or header is welcomed after ``authenticate``, and may subscribe then."""
    run = await seed_run(server)
    async with bare_socket(server) as socket:
        assert (await socket.ask({"op": "authenticate", "token": server.token}))["op"] == "welcome"
        assert (await socket.ask(subscribe(run.id)))["op"] == "subscribed"


async def test_any_other_first_frame_is_refused(server: LiveServer) -> None:
    """Without identity every other command is NOT_AUTHENTICATED, and the connection closes with 4401."""
    run = await seed_run(server)
    for frame in (subscribe(run.id), {"op": "ping"}):
        async with bare_socket(server) as socket:
            await socket.send(frame)
            frames, code = await rest_of(socket)
        assert [(error["code"], error["fatal"]) for error in frames] == [("NOT_AUTHENTICATED", True)]
        assert code == 4401


async def test_no_identity_in_time_closes_with_4401(tmp_path: Path) -> None:
    """A connection that never says who it is gets NOT_AUTHENTICATED after identify_timeout_s."""
    async with live_server(tmp_path, identify_timeout_s=0.1) as server, bare_socket(server) as socket:
        frames, code = await rest_of(socket)
    assert [error["code"] for error in frames] == ["NOT_AUTHENTICATED"]
    assert code == 4401


async def test_bad_token_is_accepted_then_closed_with_4401(server: LiveServer) -> None:
    """A handshake with a token of nobody is accepted so that a browser can read why it was refused."""
    foreign = Tokens(b"x" * 32).issue(server.home.user, 3600)
    for token in ("nonsense", foreign, server.home.issue_token(-10)):
        async with bare_socket(server, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            frames, code = await rest_of(socket)
        assert [(error["code"], error["fatal"]) for error in frames] == [("NOT_AUTHENTICATED", True)]
        assert code == 4401
        assert token not in json.dumps(frames)


async def test_fatal_error_ends_obedience_at_once(server: LiveServer) -> None:
    """Frames that were sent behind a fatal one are not obeyed: one error, nothing else."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await asyncio.gather(
            socket.send({"op": "authenticate", "token": "nonsense"}),
            *[socket.send(subscribe(run.id)) for _ in range(5)],
        )
        frames, code = await rest_of(socket)
    assert [frame.get("code") for frame in frames] == ["NOT_AUTHENTICATED"]
    assert code == 4401


async def test_fresh_token_in_place_outlives_the_old_one(server: LiveServer) -> None:
    """``authenticate`` on an open connection moves its expiry; subscriptions go on."""
    run = await seed_run(server)
    async with bare_socket(server) as socket:
        await socket.ask({"op": "authenticate", "token": server.home.issue_token(3)})
        await socket.ask(subscribe(run.id))
        assert (await socket.ask({"op": "authenticate", "token": server.token}))["op"] == "welcome"
        async with bare_socket(server) as witness:
            await witness.send({"op": "authenticate", "token": server.home.issue_token(3)})
            _, code = await rest_of(witness)
            assert code == 4401
        await run.finish()
        assert [event["id"] for event in await socket.events_until()][-1] == 2


async def test_token_of_another_user_is_refused_with_4403(server: LiveServer) -> None:
    """A connection keeps its user for life."""
    other = await server.user_with_role("owner")
    async with server.socket() as socket:
        await socket.send({"op": "authenticate", "token": other})
        frames, code = await rest_of(socket)
    assert [(error["code"], error["fatal"]) for error in frames] == [("FORBIDDEN", True)]
    assert code == 4403


async def test_expiry_of_the_token_closes_with_4401(server: LiveServer) -> None:
    """When the token expires, the viewer is told and the connection closed, its subscriptions with it."""
    run = await seed_run(server)
    token = server.home.issue_token(1)
    async with server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        await socket.ask(subscribe(run.id))
        frames, code = await rest_of(socket)
    assert [frame["code"] for frame in frames if "code" in frame] == ["NOT_AUTHENTICATED"]
    assert code == 4401
    await all_gone(server)


async def test_role_decides_on_every_subscribe(server: LiveServer) -> None:
    """Invariant 9: who may not stream is FORBIDDEN, with or without cursor, also where a subscription was before."""
    run = await seed_run(server)
    viewer = await server.user_with_role("viewer")
    stranger = await server.user_with_role(None, "stranger@localhost")
    for token in (viewer, stranger):
        async with server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            for frame in (subscribe(run.id), subscribe(run.id, last_event_id=1)):
                answer = await socket.ask(frame)
                assert (answer["code"], answer["fatal"], answer["run_id"]) == ("FORBIDDEN", False, run.id)
    accounts, user = server.home.store.accounts, server.home.user
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        await accounts.set_member(user.tenant, server.home.project_id, user.id, "viewer")
        assert (await socket.ask(subscribe(run.id, last_event_id=1)))["code"] == "FORBIDDEN"


async def test_run_of_another_tenant_is_not_found(server: LiveServer) -> None:
    """Invariant 9: a valid token of another tenant finds nothing under the run's id."""
    run = await seed_run(server)
    accounts = server.home.store.accounts
    await accounts.ensure_tenant("elsewhere")
    record = await accounts.ensure_user("elsewhere", "somebody@localhost")
    token = server.tokens.issue(User(tenant="elsewhere", id=record.id, email=record.email), 3600)
    async with server.socket(additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        answer = await socket.ask(subscribe(run.id, last_event_id=1))
        assert (answer["code"], answer["fatal"]) == ("RUN_NOT_FOUND", False)


async def test_handshake_of_a_foreign_page_is_refused_before_accept(server: LiveServer) -> None:
    """A foreign or ``null`` Origin, or a cookie without Origin, gets 403 and no WebSocket; the own Origin passes."""
    cookie = {"Cookie": f"{COOKIE}={server.token}"}
    for options in (
        {"origin": "https://elsewhere.example", "additional_headers": server.headers},
        {"origin": "null", "additional_headers": server.headers},
        {"origin": "https://elsewhere.example", "additional_headers": cookie},
        {"additional_headers": cookie},
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with bare_socket(server, **options):
                pass
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body or b"{}")["error"] == "FORBIDDEN"
    async with server.socket(origin=server.url, additional_headers=cookie) as socket:
        assert (await socket.ask({"op": "ping"}))["op"] == "pong"


async def test_sixty_fifth_subscription_is_too_many(server: LiveServer) -> None:
    """64 live runs fit on one connection; one more is TOO_MANY and closes with 4429."""
    runs = await asyncio.gather(*[seed_run(server) for _ in range(65)])
    async with server.socket() as socket:
        for run in runs[:64]:
            assert (await socket.ask(subscribe(run.id)))["op"] == "subscribed"
        assert (await socket.ask(subscribe(runs[0].id)))["op"] == "subscribed"
        await socket.send(subscribe(runs[64].id, ref="last"))
        frames, code = await rest_of(socket)
    errors = [frame for frame in frames if frame.get("op") == "error"]
    assert [(error["code"], error["fatal"], error["ref"]) for error in errors] == [("TOO_MANY", True, "last")]
    assert code == 4429


async def test_ended_runs_make_room_for_others(server: LiveServer) -> None:
    """A connection that lives long may watch any number of runs one after the other."""
    runs = await asyncio.gather(*[seed_run(server) for _ in range(66)])
    await asyncio.gather(*[run.finish() for run in runs])
    async with server.socket() as socket:
        for run in runs:
            await socket.send(subscribe(run.id))
            await socket.events_until()


async def test_more_frames_than_allowed_are_too_many(server: LiveServer) -> None:
    """A burst above the bucket of two seconds' frames is TOO_MANY and closes with 4429."""
    async with server.socket() as socket:
        for _ in range(105):
            await socket.send({"op": "ping"})
        frames, code = await rest_of(socket)
    assert frames[-1]["code"] == "TOO_MANY"
    assert 100 <= sum(frame["op"] == "pong" for frame in frames) < 105
    assert code == 4429


async def test_acks_do_not_count_against_the_frame_limit(server: LiveServer) -> None:
    """A viewer may ack every event it gets, however fast they come."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        await socket.events_until(1)
        for _ in range(300):
            assert (await socket.ask({"op": "ack", "run_id": run.id, "event_id": 1}))["op"] == "acked"


async def test_handler_that_fails_closes_with_1011(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure inside is INTERNAL without particulars, and the connection closes with 1011, never 1000."""

    async def fail(key: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(server.home.backend.runs, "get_run", fail)
    async with server.socket() as socket:
        await socket.send(subscribe(str(uuid4())))
        frames, code = await rest_of(socket)
    assert [(error["code"], error["fatal"]) for error in frames] == [("INTERNAL", True)]
    assert "secret" not in json.dumps(frames)
    assert code == 1011


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


async def test_failure_of_the_store_ends_the_connection_with_its_cause(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server cannot do is told with the frame it answers, and 1011 says to come back."""
    run_id = await server.start_run(["ba_consultant"])

    async def refuse(*_: object) -> None:
        raise OSError("the disk is gone")

    async with server.socket() as socket:
        monkeypatch.setattr(server.home.store.runs, "get_run", refuse)
        answer = await socket.ask({"op": "subscribe", "run_id": run_id, "ref": "s"})
        assert (answer["op"], answer["code"], answer["fatal"]) == ("error", "INTERNAL", True)
        assert (answer["ref"], answer["run_id"]) == ("s", run_id)
        await socket.connection.wait_closed()
        assert socket.connection.close_code == 1011
