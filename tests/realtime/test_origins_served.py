"""Which pages may use the server: how WebSocket, SSE and REST keep the one rule, over real connections."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
import websockets
from live import LiveServer, live_server

from realtime.tokens import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOWED = "https://app.example.org"
FOREIGN = ("https://elsewhere.example", "null", "https://app.example.org.elsewhere.example", "http://app.example.org")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    """A server that pages of one other origin may use."""
    async with live_server(tmp_path_factory.mktemp("origins") / "home", allowed_origins=(ALLOWED,)) as live:
        yield live


def who(server: LiveServer, by: str) -> dict[str, str]:
    """The headers that identify the local user."""
    return {"Cookie": f"{COOKIE}={server.token}"} if by == "cookie" else server.headers


async def shake_hands(server: LiveServer, headers: dict[str, str]) -> int:
    """The status of a WebSocket handshake: 101 where it was accepted and welcomed, 403 where it was refused."""
    try:
        async with websockets.connect(server.ws_url, additional_headers=headers) as socket:
            return 101 if json.loads(await socket.recv())["op"] == "welcome" else 0
    except websockets.InvalidStatus as refusal:
        forbidden = json.loads(refusal.response.body or b"")["error"] == "FORBIDDEN"
        return refusal.response.status_code if forbidden else 0


async def ask(server: LiveServer, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx2.Response:
    """The answer to one request of somebody without a memory for cookies."""
    async with httpx2.AsyncClient(base_url=server.url) as client:
        return await client.request(method, path, headers=headers, **more)


@pytest.mark.parametrize(
    ("by", "origin"),
    [("cookie", None), ("bearer", None), ("bearer", ALLOWED), ("bearer", "HTTPS://App.example.org:443")],
)
async def test_allowed_origins_use_websocket_sse_and_rest_alike(
    server: LiveServer, by: str, origin: str | None
) -> None:
    """Our own (None) by cookie or token, and the one in the settings, in any letters' case, by token."""
    run = f"/api/v1/events/agent-runs/{uuid4()}"
    headers = {**who(server, by), "Origin": origin or server.url}
    assert await shake_hands(server, headers) == 101
    assert (await ask(server, "GET", run, headers)).json()["error"] == "RUN_NOT_FOUND"
    assert (await ask(server, "GET", "/api/v1/projects", headers)).status_code == 200
    document = {"path": "by-origin.md", "content": "x"}
    assert (await ask(server, "POST", f"{server.project}/documents", headers, json=document)).status_code == 201


async def test_cookie_identifies_nobody_for_another_origin_that_is_allowed(server: LiveServer) -> None:
    """A page of the same site, with whose requests browsers send our cookie, cannot act for who is signed in."""
    headers = {**who(server, "cookie"), "Origin": ALLOWED}
    document = {"path": "by-cookie.md", "content": "x"}
    for answer in (
        await ask(server, "GET", "/api/v1/projects", headers),
        await ask(server, "GET", f"/api/v1/events/agent-runs/{uuid4()}", headers),
        await ask(server, "POST", f"{server.project}/documents", headers, json=document),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "NOT_AUTHENTICATED")
    async with websockets.connect(server.ws_url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"op": "authenticate", "token": server.token, "ref": "mine"}))
        frame = json.loads(await socket.recv())
        assert (frame["op"], frame["ref"]) == ("welcome", "mine")


async def test_another_origin_that_is_allowed_signs_nobody_in_or_out(server: LiveServer) -> None:
    """Not by form and not by session, with a cookie or without: 403, and no cookie is set or taken."""
    for who_asks in ({}, who(server, "cookie")):
        headers = {**who_asks, "Origin": ALLOWED}
        for answer in (
            await ask(server, "POST", "/sign-in", headers, data={"token": server.token}),
            await ask(server, "POST", "/sign-out", headers),
            await ask(server, "POST", "/api/v1/session", headers, json={"token": server.token}),
            await ask(server, "DELETE", "/api/v1/session", headers),
        ):
            assert answer.status_code == 403
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("by", ["cookie", "bearer"])
@pytest.mark.parametrize("origin", FOREIGN)
async def test_foreign_origins_use_nothing(server: LiveServer, by: str, origin: str) -> None:
    """Whatever identifies them: 403, typed, before a WebSocket is accepted, and nothing was done."""
    headers = {**who(server, by), "Origin": origin}
    run = f"/api/v1/events/agent-runs/{uuid4()}"
    assert await shake_hands(server, headers) == 403
    document = {"path": "foreign.md", "content": "x"}
    for answer in (
        await ask(server, "GET", run, headers),
        await ask(server, "GET", "/api/v1/projects", headers),
        await ask(server, "POST", f"{server.project}/documents", headers, json=document),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
    listed = (await server.http.get(f"{server.project}/documents")).json()["documents"]
    assert "foreign.md" not in [kept["path"] for kept in listed]


async def test_cookie_without_origin_reads_and_streams_only(server: LiveServer) -> None:
    """A navigation or a same-origin EventSource sends none; what changes state, and every handshake, needs one."""
    cookie = who(server, "cookie")
    assert (await ask(server, "GET", "/api/v1/projects", cookie)).status_code == 200
    assert (await ask(server, "GET", f"/api/v1/events/agent-runs/{uuid4()}", cookie)).status_code == 404
    assert await shake_hands(server, cookie) == 403
    for method, path in (
        ("POST", f"{server.project}/documents"),
        ("POST", f"{server.project}/agent-runs"),
        ("DELETE", f"{server.project}/documents/{uuid4()}"),
        ("POST", "/api/v1/session"),
        ("DELETE", "/api/v1/session"),
        ("POST", "/sign-out"),
    ):
        answer = await ask(server, method, path, cookie, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN"), path


async def test_bearer_without_origin_may_do_everything(server: LiveServer) -> None:
    """Programs send none, and no browser adds a Bearer token by itself."""
    assert await shake_hands(server, who(server, "bearer")) == 101
    document = {"path": "by-program.md", "content": "x"}
    answer = await ask(server, "POST", f"{server.project}/documents", who(server, "bearer"), json=document)
    assert answer.status_code == 201


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", COOKIE])
async def test_token_in_a_url_identifies_nobody(server: LiveServer, name: str) -> None:
    """No endpoint reads a token from its address; a WebSocket then waits for ``authenticate`` and gets none."""
    for path in ("/api/v1/projects", f"/api/v1/events/agent-runs/{uuid4()}", f"{server.project}/documents"):
        answer = await ask(server, "GET", f"{path}?{name}={server.token}", {})
        assert (answer.status_code, answer.json()["error"]) == (401, "NOT_AUTHENTICATED")
    async with websockets.connect(f"{server.ws_url}?{name}={server.token}") as socket:
        await socket.send('{"op":"ping"}')
        frame = json.loads(await socket.recv())
        assert (frame["op"], frame["code"]) == ("error", "NOT_AUTHENTICATED")
    signed_in = await ask(server, "POST", f"/sign-in?token={server.token}", {"Origin": server.url})
    assert signed_in.status_code == 401
    assert "Set-Cookie" not in signed_in.headers
