"""Who somebody is on a WebSocket, how long, and what he may watch: tokens, roles, tenants, Origins."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import websockets
from live import LiveServer, live_server
from seeded import all_gone, seed_run
from socket_stage import bare_socket, rest_of, subscribe

from realtime.ports import User
from realtime.tokens import COOKIE, Tokens


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
    async with server.socket() as socket:
        await socket.ask(subscribe(run.id))
        assert (await socket.ask({"op": "authenticate", "token": server.home.issue_token(3)}))["op"] == "welcome"
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
