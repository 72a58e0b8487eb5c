"""HTTPS and WSS: which certificates are taken, and what is spoken over them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import warnings
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest
import websockets
from certificates import Secured, key_pem, new_key
from http2_peer import http2_socket
from issuer import private_pem
from live import LiveServer, live_server
from raw_peer import raw_http
from seeded import seed_run
from tls_stage import address_of, http2, secured, server, stream_of

from realtime.server import Running, ServerError, serve
from realtime.settings import Settings, SettingsError

__all__ = ["secured", "server"]

UNUSABLE = {
    "missing certificate": ("tls_cert", None, "tls_cert {cert} cannot be read: No such file or directory"),
    "missing key": ("tls_key", None, "tls_key {key} cannot be read: No such file or directory"),
    "no certificate": ("tls_cert", b"hello", "tls_cert {cert} holds something else than certificates in PEM"),
    "broken certificate": (
        *("tls_cert", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "tls_cert {cert} holds something else than certificates in PEM",
    ),
    "no key": ("tls_key", b"hello", "tls_key {key} holds something else than a private key in PEM"),
    "encrypted key": (
        *("tls_key", key_pem(new_key(), b"passphrase")),
        "tls_key {key} is encrypted; expected a private key without a passphrase",
    ),
    "somebody else's key": (
        *("tls_key", key_pem(new_key())),
        "tls_key {key} is not the key of the certificate in tls_cert {cert}",
    ),
    "key of another kind": (
        *("tls_key", private_pem("EdDSA")),
        "tls_key {key} is not the key of the certificate in tls_cert {cert}",
    ),
}


@pytest.mark.parametrize(("setting", "content", "complaint"), UNUSABLE.values(), ids=UNUSABLE)
async def test_certificate_or_key_that_cannot_be_used_is_refused_before_anything_is_served(
    tmp_path: Path, secured: Secured, setting: str, content: bytes | None, complaint: str
) -> None:
    """The error names the file and what is wrong with it, nobody is asked for a passphrase, and no home is made."""
    file = secured.settings[setting]
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ServerError) as refused:
        await serve(Settings(port=0, home=tmp_path / "home", **secured.settings))
    assert str(refused.value) == complaint.format(cert=secured.tls_cert, key=secured.tls_key)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("alone", "missing"), [("tls_cert", "tls_key"), ("tls_key", "tls_cert")])
def test_certificate_or_key_alone_is_refused(
    secured: Secured, alone: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without the other is no way to serve; a variable that is empty is one that is not set."""
    monkeypatch.setenv(f"RUNCAST_{alone.upper()}", str(secured.settings[alone]))
    monkeypatch.setenv(f"RUNCAST_{missing.upper()}", "")
    with pytest.raises(SettingsError, match=f"^{alone} is set and {missing} is not; expected both"):
        Settings.from_environment()


async def test_server_with_a_certificate_says_https(tmp_path: Path, secured: Secured) -> None:
    """The home has its https address and its certificate, never its key; metrics stay on plain http."""
    both = secured.tls_cert.read_bytes() + secured.tls_key.read_bytes()
    secured.tls_cert.write_bytes(both)
    settings = {"tls_cert": secured.tls_cert, "tls_key": secured.tls_cert, "metrics_port": 0}
    async with live_server(tmp_path / "home", ssl_context=secured.trust(), **settings) as server:
        text = (tmp_path / "home" / "server.json").read_text()
        running = json.loads(text, object_hook=lambda said: Running(**said))
        assert running.url == server.url
        assert server.url.startswith("https://127.0.0.1:")
        assert running.certificate.encode() in both
        assert "PRIVATE" not in text
        async with httpx2.AsyncClient() as plain:
            assert (await plain.get(running.metrics_url)).status_code == 200


async def test_client_gets_the_protocol_that_it_asks_for(server: LiveServer, secured: Secured) -> None:
    """HTTP/2 where it is offered, HTTP/1.1 where that is, and HTTP/1.1 for who offers nothing at all."""
    async with http2(server, secured) as client:
        assert (await client.get("/healthz")).http_version == "HTTP/2"
    assert (await server.http.get("/healthz")).http_version == "HTTP/1.1"
    async with raw_http(server.url, "/healthz", {}, ssl_context=secured.trust()) as answer:
        assert answer.head.startswith(b"HTTP/1.1 200")


async def test_old_tls_is_refused(server: LiveServer, secured: Secured) -> None:
    """TLS 1.2 is spoken, 1.1 is not."""
    newest = {ssl.TLSVersion.TLSv1_1: "refused", ssl.TLSVersion.TLSv1_2: "TLSv1.2"}
    for version, outcome in newest.items():
        trust = secured.trust()
        trust.set_ciphers("DEFAULT:@SECLEVEL=0")  # with which this client would still speak 1.1
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            trust.minimum_version, trust.maximum_version = ssl.TLSVersion.TLSv1_1, version
        try:
            _, writer = await asyncio.open_connection(*address_of(server), ssl=trust)
        except (ssl.SSLError, ConnectionResetError):
            assert outcome == "refused"
        else:
            assert writer.get_extra_info("ssl_object").version() == outcome
            writer.transport.abort()


async def test_browser_over_https_is_kept_strict(server: LiveServer, secured: Secured) -> None:
    """The cookie is Secure, HSTS is sent, and our own Origin is that of https alone."""
    body = {"token": server.token}
    http = "http" + server.url.removeprefix("https")
    async with httpx2.AsyncClient(base_url=server.url, verify=secured.trust()) as browser:
        assert (await browser.post("/api/v1/session", json=body, headers={"Origin": http})).status_code == 403
        answer = await browser.post("/api/v1/session", json=body, headers={"Origin": server.url})
        (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
        assert cookie["secure"]
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    signed_in = {"Cookie": f"{cookie.key}={cookie.value}"}
    async with server.socket(additional_headers=signed_in, origin=server.url):
        pass  # it was welcomed
    with pytest.raises(websockets.InvalidStatus, match="403"):
        async with server.socket(additional_headers=signed_in, origin=http):
            pass
    async with http2_socket(server, secured.trust(), cookie=signed_in["Cookie"], origin=server.url) as own:
        assert own.status == 200
    async with http2_socket(server, secured.trust(), cookie=signed_in["Cookie"], origin=http) as foreign:
        assert foreign.status == 403


async def test_stream_over_http2_is_live_and_resumes(server: LiveServer, secured: Secured) -> None:
    """SSE over HTTP/2: each event as it is published, from a cursor, to the end and then 204; HEAD has no body."""
    run = await seed_run(server)
    async with http2(server, secured) as client:
        async with client.sse(stream_of(run)) as source:
            assert source.response.http_version == "HTTP/2"
            assert "connection" not in source.response.headers
            events = (event async for event in source if event.data)
            assert (await anext(events)).id == "1"
            for event_id in (2, 3):
                await run.progress(f"step {event_id}")
                assert (await anext(events)).id == str(event_id)
        await run.finish()
        async with client.sse(stream_of(run), headers={"Last-Event-ID": "2"}) as source:
            assert [event.id async for event in source if event.data] == ["3", "4"]
        assert (await client.get(stream_of(run), headers={"Last-Event-ID": "4"})).status_code == 204
        head = await client.head(stream_of(run))
        assert (head.status_code, head.headers["Content-Type"], head.content) == (200, "text/event-stream", b"")


async def test_many_streams_share_one_http2_connection(server: LiveServer, secured: Secured) -> None:
    """Twenty viewers of one connection, more than a browser has over HTTP/1.1, all get what is published."""
    run = await seed_run(server)
    async with http2(server, secured) as client, contextlib.AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(client.sse(stream_of(run))) for _ in range(20)]
        assert len({source.response.extensions["network_stream"] for source in sources}) == 1
        await run.progress("for all")
        await run.finish()
        for source in sources:
            assert [event.id async for event in source if event.data] == ["1", "2", "3"]


async def test_socket_over_http2_watches_a_run(server: LiveServer, secured: Secured) -> None:
    """A WebSocket on a stream of HTTP/2 is welcomed, subscribes, and gets a run's events live, to the end."""
    run = await seed_run(server)
    async with http2_socket(server, secured.trust()) as peer:
        assert (peer.status, (await peer.receive() or {})["op"]) == (200, "welcome")
        await peer.send({"op": "subscribe", "run_id": run.id, "last_event_id": 1})
        assert (await peer.receive() or {})["op"] == "subscribed"
        await run.progress("live")
        assert (await peer.receive() or {})["id"] == 2
        await run.finish()
        assert (await peer.receive() or {})["id"] == 3
        assert (await peer.receive() or {})["op"] == "finished"


async def test_socket_over_tls_watches_a_run(server: LiveServer) -> None:
    """A client of HTTP/1.1 over TLS gets a run's events live, to the end."""
    run = await seed_run(server)
    async with server.socket() as viewer:
        assert (await viewer.ask({"op": "subscribe", "run_id": run.id}))["op"] == "subscribed"
        await run.progress("live")
        await run.finish()
        assert [event["id"] for event in await viewer.events_until()] == [1, 2, 3]
        assert viewer.connection.transport.get_extra_info("ssl_object").selected_alpn_protocol() is None
