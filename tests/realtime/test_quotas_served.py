"""Quotas over real connections: what is beyond is refused with the right word and counted; every end gives back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets
from live import ALL_AGENTS, SPEC, GatedModel, LiveServer, LiveSocket, live_server
from metric_values import count, counted
from raw_peer import raw_http, raw_socket
from rest_answers import bearer
from seeded import all_gone, seed_run

from orchestrator.store.quotas import VERSION_BYTES
from realtime.ports import User
from realtime.quotas import UNIDENTIFIED_CONNECTIONS
from realtime.roles import Role
from realtime.tokens import hash_code, new_code

Refusal = tuple[int | None, dict[str, Any]]


def assert_refused(answer: httpx2.Response) -> None:
    """It is a 429 in the one shape, and says when to come back."""
    assert (answer.status_code, answer.json()["error"]) == (429, "TOO_MANY"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


async def last_word(socket: LiveSocket) -> Refusal:
    """The close code of a connection that the server ends, and the error before it."""
    error: dict[str, Any] = {}
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            frame = await socket.receive()
            error = frame if frame.get("op") == "error" else error
    return socket.connection.close_code, error


@contextlib.asynccontextmanager
async def unwelcome(server: LiveServer, headers: dict[str, str] | None = None) -> AsyncIterator[LiveSocket]:
    """A connection whose first frame was not read."""
    headers = server.headers if headers is None else headers
    async with websockets.connect(
        server.ws_url, subprotocols=["runcast.v1"], additional_headers=headers
    ) as connection:
        yield LiveSocket(connection)


async def nothing_is_held(server: LiveServer) -> None:
    """Return when no place is taken, and the gauges say so."""
    await all_gone(server)
    quotas = server.home.backend.quotas
    places = (quotas.connections, quotas.subscriptions, quotas.unidentified, quotas.uploads)
    async with asyncio.timeout(30):
        while any(place.taken for place in places):
            await asyncio.sleep(0.002)
        while count(server, "connections", "websocket") or count(server, "connections", "sse"):
            await asyncio.sleep(0.002)
    assert count(server, "subscriptions") == count(server, "projects_watched") == 0


async def test_requests_beyond_the_users_rate_are_429(tmp_path: Path) -> None:
    """A user gets two seconds' worth at once, then 429 with Retry-After, counted; others of the tenant go on."""
    async with live_server(tmp_path, user_requests_per_s=2, with_document=False) as server:
        token = await server.user_with_role("viewer")
        answers = [await server.http.get("/api/v1/agents") for _ in range(5)]
        assert [answer.status_code for answer in answers[:4]] == [200] * 4
        assert_refused(answers[4])
        assert (await server.http.get("/api/v1/agents", headers=bearer(token))).status_code == 200
        assert (await server.http.get("/healthz")).status_code == 200
        assert count(server, "refused_total", "requests", "user") == 1


async def test_requests_beyond_the_tenants_rate_are_429(tmp_path: Path) -> None:
    """All users of a tenant together have one rate."""
    async with live_server(tmp_path, tenant_requests_per_s=1, with_document=False) as server:
        tokens = [await server.user_with_role("viewer", f"u{number}@localhost") for number in range(3)]
        answers = [await server.http.get("/api/v1/agents", headers=bearer(token)) for token in tokens]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert count(server, "refused_total", "requests", "tenant") == 1


async def test_failures_of_an_address_beyond_the_rate_are_429(tmp_path: Path) -> None:
    """Bad tokens get 401, then 429 with Retry-After; a valid token of the same address is served all the same."""
    async with live_server(tmp_path, address_failures_per_s=1, with_document=False) as server:
        bad = bearer("nonsense")
        answers = [await server.http.get("/api/v1/agents", headers=bad) for _ in range(3)]
        assert [answer.status_code for answer in answers[:2]] == [401, 401]
        assert_refused(answers[2])
        assert (await server.http.get("/api/v1/agents")).status_code == 200
        assert count(server, "authentication_failures_total", "invalid") == 3
        assert count(server, "refused_total", "authentication_failures", "address") == 1


async def test_sign_in_of_an_address_that_failed_too_often_is_not_tried(tmp_path: Path) -> None:
    """Beyond its rate of failures an address is refused before the store is asked: a good code stays unspent."""
    async with live_server(tmp_path, address_failures_per_s=0.01, with_document=False) as server:
        accounts, code = server.home.backend.accounts, new_code()
        await accounts.add_code(hash_code(code), server.home.user, 600)
        origin = {"Origin": server.url}
        bad = await server.http.post("/sign-in", data={"code": "guess"}, headers=origin)
        assert bad.status_code == 401
        held = await server.http.post("/sign-in", data={"code": code}, headers=origin)
        assert held.status_code == 429
        assert 1 <= int(held.headers["Retry-After"]) <= 100
        page = await server.http.post("/sign-in", data={"code": code}, headers={**origin, "Accept": "text/html"})
        assert (page.status_code, page.headers["Content-Type"]) == (429, "text/html; charset=utf-8")
        assert int(page.headers["Retry-After"]) >= 1
        assert_refused(await server.http.post("/api/v1/session", json={"token": server.token}))
        assert await accounts.spend_code(hash_code(code)) == server.home.user
        assert count(server, "authentication_failures_total", "sign_in") == 1


async def test_bad_tokens_over_websocket_count_for_the_address(tmp_path: Path) -> None:
    """A connection with a bad token is closed with 4401, one beyond the rate of failures with 4429."""
    async with live_server(tmp_path, address_failures_per_s=0.5, with_document=False) as server:
        async with unwelcome(server, bearer("nonsense")) as socket:
            assert (await last_word(socket))[0] == 4401
        async with unwelcome(server, bearer("nonsense")) as socket:
            code, error = await last_word(socket)
        assert (code, error["code"], error["fatal"]) == (4429, "TOO_MANY", True)
        async with server.socket():
            pass
        await counted(server, 1, "websocket_closes_total", "4401")
        await counted(server, 1, "websocket_closes_total", "4429")
        await nothing_is_held(server)


async def test_connections_without_identity_are_bounded_per_address(tmp_path: Path) -> None:
    """Beyond so many of one address that have not said who they are, another one is told TOO_MANY and closed."""
    async with live_server(tmp_path, with_document=False) as server:
        approach = server.home.backend.quotas.approach
        others = [approach("127.0.0.1") for _ in range(UNIDENTIFIED_CONNECTIONS)]
        async with unwelcome(server, {}) as socket:
            code, error = await last_word(socket)
        assert (code, error["code"]) == (4429, "TOO_MANY")
        others.pop()()
        async with unwelcome(server, {}) as socket:
            assert (await socket.ask({"op": "authenticate", "token": server.token}))["op"] == "welcome"
            assert server.home.backend.quotas.unidentified.taken == UNIDENTIFIED_CONNECTIONS - 1
        for leave in others:
            leave()
        await nothing_is_held(server)


async def test_connection_beyond_the_quota_is_4429_or_429(tmp_path: Path) -> None:
    """A user who has all their connections is refused another of either transport, until one is closed."""
    async with live_server(tmp_path, user_connections=1, with_document=False) as server:
        run = await seed_run(server)
        path = f"/api/v1/events/agent-runs/{run.id}"
        async with server.socket():
            async with unwelcome(server) as socket:
                code, error = await last_word(socket)
            assert (code, error["code"], error["fatal"]) == (4429, "TOO_MANY", True)
            assert "1 connections" in error["message"]
            assert_refused(await server.http.get(path))
        await nothing_is_held(server)
        async with raw_http(server.url, path, server.headers) as stream:
            assert stream.status == 200
            async with unwelcome(server) as socket:
                assert (await last_word(socket))[0] == 4429
            other = await server.user_with_role("owner")
            async with server.socket(additional_headers=bearer(other)):
                pass
        await nothing_is_held(server)
        assert count(server, "refused_total", "connections", "user") == 3


async def test_subscription_beyond_the_quota_is_4429_or_429(tmp_path: Path) -> None:
    """All connections of a user share their subscriptions; the same run again on one connection counts once."""
    async with live_server(tmp_path, user_subscriptions=2, with_document=False) as server:
        runs = [await seed_run(server) for _ in range(3)]
        async with server.socket() as first, server.socket() as second:
            for _ in range(3):
                assert (await first.ask({"op": "subscribe", "run_id": runs[0].id}))["op"] == "subscribed"
            assert (await first.ask({"op": "subscribe", "run_id": runs[1].id}))["op"] == "subscribed"
            assert_refused(await server.http.get(f"/api/v1/events/agent-runs/{runs[2].id}"))
            assert (await first.ask({"op": "unsubscribe", "run_id": runs[1].id}))["op"] == "unsubscribed"
            assert (await second.ask({"op": "subscribe", "run_id": runs[1].id}))["op"] == "subscribed"
            await second.send({"op": "subscribe", "run_id": runs[2].id, "ref": 7})
            code, error = await last_word(second)
            assert (code, error["code"], error["fatal"], error["ref"]) == (4429, "TOO_MANY", True, 7)
            assert error["run_id"] == runs[2].id
            assert (await first.ask({"op": "ping"}))["op"] == "pong"
        await nothing_is_held(server)
        assert count(server, "refused_total", "subscriptions", "user") == 2


async def test_finished_run_gives_its_place_back(tmp_path: Path) -> None:
    """A run that has ended counts no more, whether it ended live or long before; its connection stays."""
    async with live_server(tmp_path, user_subscriptions=1, with_document=False) as server:
        async with server.socket() as socket:
            for _ in range(3):
                run = await seed_run(server)
                assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
                assert server.home.backend.quotas.subscriptions.taken == 1
                await run.finish()
                await socket.events_until()
                assert server.home.backend.quotas.subscriptions.taken == 0
            for start in ("now", "start"):
                assert (await socket.ask({"op": "subscribe", "run_id": run.id, "from": start}))["op"] == "subscribed"
                await socket.events_until()
                assert server.home.backend.quotas.subscriptions.taken == 0
        await nothing_is_held(server)


async def test_frames_beyond_the_users_rate_are_4429(tmp_path: Path) -> None:
    """All connections of a user share their frames, those that are no commands as well; acks are free."""
    async with live_server(tmp_path, user_frames_per_s=2, with_document=False) as server:
        run = await seed_run(server)
        async with server.socket() as first, server.socket() as second:
            await first.ask({"op": "subscribe", "run_id": run.id})
            await first.events_until(1)
            for _ in range(50):
                assert (await first.ask({"op": "ack", "run_id": run.id, "event_id": 1}))["op"] == "acked"
            assert (await second.ask({"op": "ping"}))["op"] == "pong"
            assert (await second.ask({"op": "nonsense"}))["code"] == "UNKNOWN_OP"
            assert (await first.ask({"op": "ping"}))["op"] == "pong"
            await second.send({"op": "ping"})
            code, error = await last_word(second)
            assert (code, error["code"], error["fatal"]) == (4429, "TOO_MANY", True)
        await nothing_is_held(server)
        assert count(server, "refused_total", "frames", "user") == 1
        assert count(server, "frames_refused_total", "UNKNOWN_OP") == 1
        assert count(server, "frames_refused_total", "TOO_MANY") == 1


async def test_runs_and_documents_beyond_the_quota_are_429_and_counted(tmp_path: Path, model: GatedModel) -> None:
    """What the store refuses for a quota is told with Retry-After and counted like the rest."""
    room = len(SPEC) + 10 + 2 * VERSION_BYTES
    async with live_server(tmp_path, model, user_runs=1, tenant_document_bytes=room) as server:
        await server.start_run()
        assert_refused(await server.http.post(f"{server.project}/agent-runs", json={"agents_selected": ALL_AGENTS}))
        upload = {"path": "more.md", "content": "x" * 11}
        assert_refused(await server.http.post(f"{server.project}/documents", json=upload))
        assert count(server, "refused_total", "runs", "user") == 1
        assert count(server, "refused_total", "document_bytes", "tenant") == 1


async def test_storm_of_abrupt_ends_gives_every_place_back(tmp_path: Path) -> None:
    """Viewers that vanish at any moment, streams that never begin and refusals leave nothing counted."""
    async with live_server(tmp_path, user_connections=8, user_subscriptions=8, with_document=False) as server:
        run = await seed_run(server)
        path = f"/api/v1/events/agent-runs/{run.id}"
        host, port = server.url.removeprefix("http://").split(":")
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()

        async def vanish_from_socket(frames: int) -> None:
            async with raw_socket(server.ws_url, server.headers) as raw:
                for _ in range(frames):
                    await raw.send({"op": "subscribe", "run_id": run.id})
                raw.cut()

        async def vanish_from_stream(read: bool) -> None:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            if read:
                await reader.read(10)
            writer.transport.abort()

        async def look(method: str) -> None:
            async with raw_http(server.url, path, server.headers, method=method) as answer:
                answer.cut()

        for _ in range(12):
            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(vanish_from_socket(number % 3))
                    group.create_task(vanish_from_stream(number % 2 == 0))
                    group.create_task(look("HEAD" if number % 2 else "GET"))
        await nothing_is_held(server)
        async with server.socket() as socket:
            assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"


@pytest.mark.parametrize("how", ["revoked", "expired", "drained"])
async def test_end_by_the_server_gives_every_place_back(tmp_path: Path, how: str) -> None:
    """A lost role, an expired token and the end of the server give back what both transports held."""
    async with live_server(tmp_path, access_check_s=0.05, with_document=False) as server:
        run = await seed_run(server)
        token = await server.user_with_role("qa-automation")
        user = await server.home.backend.tokens.read(token)
        if how == "expired":
            who = User(tenant=user.tenant, id=user.user_id, email=user.email)
            token = server.home.backend.tokens.issue(who, 4)
        path = f"/api/v1/events/agent-runs/{run.id}"
        async with (
            server.socket(additional_headers=bearer(token)) as socket,
            raw_http(server.url, path, bearer(token)) as stream,
        ):
            assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
            watch = {"op": "watch_project", "project_id": server.home.project_id}
            assert (await socket.ask(watch))["op"] == "project"
            assert stream.status == 200
            assert server.home.backend.quotas.connections.taken == 2
            assert server.home.backend.quotas.subscriptions.taken == 3
            assert count(server, "projects_watched") == 1
            if how == "revoked":
                accounts = server.home.store.accounts
                await accounts.set_member(user.tenant, server.home.project_id, user.user_id, Role.VIEWER)
                while (frame := await socket.receive()).get("op") != "error":
                    pass
                assert frame["code"] == "FORBIDDEN"
                await stream.events()
                assert count(server, "access_revoked_total") == 3
            elif how == "expired":
                assert (await last_word(socket))[0] == 4401
                await stream.events()
            else:
                await server.home.backend.broadcaster.drain()
                assert (await last_word(socket))[0] == 1012
                await stream.events()
                await counted(server, 1, "websocket_closes_total", "1012")
        await nothing_is_held(server)


async def test_uploads_at_once_beyond_the_quota_are_429(tmp_path: Path) -> None:
    """Bodies under way are counted for user and tenant, before they are read, until the request is over or cut."""
    async with live_server(tmp_path, user_uploads=2, tenant_uploads=3, with_document=False) as server:
        other = bearer(await server.user_with_role("owner"))
        path = f"{server.project}/documents"
        document = {"path": "a.md", "content": "x"}
        async with contextlib.AsyncExitStack() as stack:
            for taken, who in enumerate((server.headers, server.headers, other), 1):
                await stack.enter_async_context(half_upload(server, who))
                async with asyncio.timeout(30):
                    while server.home.backend.quotas.uploads.taken < taken:
                        await asyncio.sleep(0.002)
                if taken == 2:
                    assert_refused(await server.http.post(path, json=document))
            assert_refused(await server.http.post(path, json=document, headers=other))
            assert count(server, "refused_total", "uploads", "user") == 1
            assert count(server, "refused_total", "uploads", "tenant") == 1
        await nothing_is_held(server)
        assert (await server.http.post(path, json=document)).status_code == 201
        await nothing_is_held(server)


@contextlib.asynccontextmanager
async def half_upload(server: LiveServer, headers: dict[str, str]) -> AsyncIterator[None]:
    """An upload that has begun and does not go on; cut at the end."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = [f"POST {server.project}/documents HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines += [*(f"{name}: {value}" for name, value in headers.items()), "Content-Length: 1000000", "", "{"]
    writer.write("\r\n".join(lines).encode())
    try:
        yield
    finally:
        writer.transport.abort()
