"""Other issuers' tokens at a running server: REST, SSE and WebSocket, while keys rotate or cannot be fetched."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets
from issuer import SHARED_SECRET, claims, forged, jwk, private_pem, public_pem, publisher, shared, signed
from live import LiveServer, live_server
from raw_peer import raw_http
from rest_answers import bearer
from seeded import seed_run
from socket_stage import rest_of

from realtime.settings import SettingsError
from realtime.tokens import COOKIE

FAR_FUTURE = 253_402_300_799


@contextlib.asynccontextmanager
async def trusting_server(home: Path, **settings: Any) -> AsyncIterator[LiveServer]:
    """A server that believes the shared secret."""
    async with live_server(home, secret=SHARED_SECRET, **settings) as server:
        yield server


async def status(server: LiveServer, token: str) -> int:
    """What REST answers to the token."""
    return (await server.http.get("/api/v1/projects", headers=bearer(token))).status_code


async def test_key_file_serves_rest_sse_and_websocket(tmp_path: Path) -> None:
    """A token of a trusted key watches a run in every way; one of another key in none."""
    keys = tmp_path / "keys.pem"
    keys.write_bytes(public_pem("ES256") + public_pem("EdDSA"))
    async with live_server(tmp_path / "home", token_key_file=keys) as server:
        run = await seed_run(server)
        await run.finish()
        path = f"/api/v1/events/agent-runs/{run.id}"
        for name in ("ES256", "EdDSA"):
            token = signed(name)
            assert await status(server, token) == 200
            async with raw_http(server.url, path, bearer(token)) as stream:
                assert [event.id for event in await stream.events()] == [1, 2]
            async with server.socket(additional_headers=bearer(token)) as socket:
                assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
        stranger = signed("ES256 stranger")
        assert await status(server, stranger) == 401
        for method in ("GET", "HEAD"):
            async with raw_http(server.url, path, bearer(stranger), method=method) as stream:
                assert (stream.status, stream.headers["content-type"]) == (401, "application/json")
        async with websockets.connect(server.ws_url, additional_headers=bearer(stranger)) as connection:
            assert json.loads(await connection.recv())["code"] == "NOT_AUTHENTICATED"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401


async def test_issuer_and_audience_in_the_settings_are_kept(tmp_path: Path) -> None:
    """Tokens of another issuer need both as set; the server's own need neither."""
    expected = {"token_issuer": "https://issuer.example", "token_audience": "runs"}
    async with trusting_server(tmp_path, **expected) as server:
        assert await status(server, shared(claims(aud="runs"))) == 200
        assert await status(server, server.home.issue_token()) == 200
        for said in (claims(), claims(aud="other"), claims(aud="runs", iss="https://other.example")):
            assert await status(server, shared(said)) == 401


async def test_published_keys_that_cannot_be_fetched_are_503_until_they_can(tmp_path: Path) -> None:
    """The client is told to come back, not to sign in; our own tokens work meanwhile."""
    async with publisher() as issuer:
        issuer.answer(b"", "500 Internal Server Error")
        async with live_server(tmp_path, token_jwks_url=issuer.url) as server:
            answer = await server.http.get("/api/v1/projects", headers=bearer(signed("RS256")))
            assert (answer.status_code, answer.json()["error"]) == (503, "UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) > 0
            assert await status(server, server.token) == 200
            async with websockets.connect(server.ws_url, additional_headers=bearer(signed("RS256"))) as socket:
                assert json.loads(await socket.recv())["code"] == "INTERNAL"
        issuer.publish(jwk("RS256", kid="k1"))
        async with live_server(tmp_path, token_jwks_url=issuer.url) as server:
            assert await status(server, signed("RS256", kid="k1")) == 200


async def test_expiry_in_the_far_future_opens_streams_that_live(tmp_path: Path) -> None:
    """The last moment there is makes no timer overflow: socket, stream and session work."""
    token = shared(claims(exp=FAR_FUTURE))
    async with trusting_server(tmp_path, token_leeway_s=1e9) as server:
        run = await seed_run(server)
        async with server.socket(additional_headers=bearer(token)) as socket:
            assert (await socket.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
            async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", bearer(token)) as stream:
                assert (await stream.event()).id == 1  # type: ignore[union-attr]
                await run.progress("goes on")
                assert (await stream.event()).id == 2  # type: ignore[union-attr]
            assert [event["id"] for event in await socket.events_until(2)] == [1, 2]
        async with httpx2.AsyncClient(base_url=server.url) as client:
            assert (await client.post("/api/v1/session", json={"token": token})).status_code == 200


async def test_foreign_token_that_ends_closes_what_it_opened(tmp_path: Path) -> None:
    """A stream and a socket end with the token, its leeway included."""
    async with trusting_server(tmp_path, token_leeway_s=1.0) as server:
        run = await seed_run(server)
        token = shared(claims(exp=int(time.time()) + 1))
        async with server.socket(additional_headers=bearer(token)) as socket:
            async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", bearer(token)) as stream:
                assert [event.id for event in await stream.events()] == [1]
            frames = [await socket.receive(), await socket.receive()]
            assert (frames[0]["op"], frames[1].get("code")) == ("expiring", "NOT_AUTHENTICATED")
        assert await status(server, token) == 401


async def test_token_that_expires_when_the_one_before_does_is_not_warned_of_again(tmp_path: Path) -> None:
    """Each expiry is announced once, however often a token that has it is sent, and it is kept."""
    async with trusting_server(tmp_path, token_leeway_s=0.0) as server:
        now = int(time.time())
        first, later = shared(claims(exp=now + 6)), shared(claims(exp=now + 8))
        async with server.socket(additional_headers=bearer(first)) as socket:
            for token in (first, later):
                assert (await socket.receive())["op"] == "expiring"
                assert (await socket.ask({"op": "authenticate", "token": token}))["op"] == "welcome"
                assert (await socket.ask({"op": "authenticate", "token": later}))["op"] == "welcome"
            frames, code = await rest_of(socket)
        assert ([frame.get("code") for frame in frames], code) == (["NOT_AUTHENTICATED"], 4401)
        assert time.time() >= now + 8


async def test_large_and_strange_tokens_are_401_everywhere(tmp_path: Path) -> None:
    """By header, by body and by frame: what is no token costs an answer and nothing else."""
    strange = [
        "x" * 9000,
        "ü",
        "a.b.c",
        forged({"alg": "none"}, claims(), None),
        shared(claims(exp=...)),
        "." * 60_000,
    ]
    async with trusting_server(tmp_path) as server, httpx2.AsyncClient(base_url=server.url) as client:
        for token in strange:
            headers: dict[bytes, bytes] = {b"Authorization": b"Bearer " + token.encode()}
            assert (await client.get("/api/v1/projects", headers=headers)).status_code == 401
            assert (await client.post("/api/v1/session", json={"token": token})).status_code == 401
            async with websockets.connect(server.ws_url) as socket:
                await socket.send(json.dumps({"op": "authenticate", "token": token}))
                assert json.loads(await socket.recv())["code"] == "NOT_AUTHENTICATED"
        megabyte = {"token": "x" * 1024 * 1024}
        assert (await client.post("/api/v1/session", json=megabyte)).status_code == 413
        assert await status(server, server.token) == 200


async def test_no_token_stands_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Good and bad tokens, codes and cookies, by every way in, at the finest level: none is written anywhere."""
    good, bad, old = shared(), signed("ES256 stranger"), shared(claims(exp=1))
    async with trusting_server(tmp_path, with_document=False) as server:
        link = await server.home.sign_in_link(server.url)
        async with httpx2.AsyncClient(base_url=server.url) as client:
            await client.get(link)
            await client.post("/sign-in", data={"code": link.partition("=")[2]}, headers={"Origin": server.url})
            for token in (good, bad, old):
                await client.get("/api/v1/projects", headers=bearer(token))
                await client.get(f"/api/v1/projects?token={token}", headers={"Cookie": f"{COOKIE}={token}"})
                await client.post("/api/v1/session", json={"token": token})
                await client.post("/api/v1/session", content=f'{{"token": "{token}", '.encode())
                async with websockets.connect(server.ws_url) as socket:
                    await socket.send(json.dumps({"op": "authenticate", "token": token}))
                    await socket.recv()
        secrets = [
            link.partition("=")[2],
            SHARED_SECRET,
            *[part for t in (good, bad, old) for part in t.split(".")[1:]],
        ]
    written = "".join(capfd.readouterr())
    assert not [secret for secret in secrets if secret in written]


async def test_key_that_is_private_ends_the_start(tmp_path: Path) -> None:
    """The server does not come up with a key that it should not have."""
    keys = tmp_path / "keys.pem"
    keys.write_bytes(private_pem("RS256"))
    with pytest.raises(SettingsError, match=r"token_key_file cannot be used: .*found a private key"):
        async with live_server(tmp_path / "home", token_key_file=keys):
            pass
