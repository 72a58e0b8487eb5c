"""What proxies say of a request: believed from known ones, and of others nothing. Over real connections."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets
from live import LiveServer, live_server
from quart import Response, request, websocket
from raw_peer import RawHttp, raw_http

from realtime.tokens import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOPBACK = ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")


@contextlib.asynccontextmanager
async def seen_by(home: Path, **settings: Any) -> AsyncIterator[LiveServer]:
    """A server that also tells, at ``/seen``, what it sees of a request, and of a WebSocket at ``/seen-socket``."""
    async with live_server(home, with_document=False, **settings) as server:
        app = server.home.app

        async def tell() -> Response:
            return Response(f"{request.remote_addr} {request.scheme} {request.host}")

        async def tell_socket() -> None:
            client = websocket.scope["client"]
            await websocket.send(f"{client[0] if client else None} {websocket.scheme} {websocket.host}")

        app.add_url_rule("/seen", "seen", tell)
        app.add_websocket("/seen-socket", "seen_socket", tell_socket)
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    """A server that knows its proxies."""
    async with seen_by(tmp_path_factory.mktemp("known"), trusted_proxies=LOOPBACK) as server:
        yield server


async def seen(server: LiveServer, headers: dict[str, str]) -> str:
    """Client, scheme and host of a request with these headers, as the server sees them."""
    async with raw_http(server.url, "/seen", {"Host": "direct.example:8000", **headers}) as answer:
        return (await answer.body()).decode()


DIRECT = "127.0.0.1 http direct.example:8000"


async def test_headers_of_a_known_proxy_are_believed(known: LiveServer) -> None:
    """Client, scheme and host of a request are what the proxy says, each by itself; for a WebSocket alike."""
    said = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "runs.example.org",
    }
    direct = "direct.example:8000"
    assert await seen(known, said) == "203.0.113.9 https runs.example.org"
    assert await seen(known, {"X-Forwarded-For": "203.0.113.9"}) == f"203.0.113.9 http {direct}"
    assert await seen(known, {"X-Forwarded-Proto": "https"}) == f"127.0.0.1 https {direct}"
    assert await seen(known, {"X-Forwarded-Host": "runs.example.org:81"}) == "127.0.0.1 http runs.example.org:81"
    assert await seen(known, {}) == DIRECT
    url = known.url.replace("http", "ws", 1) + "/seen-socket"
    async with websockets.connect(url, additional_headers=said) as socket:
        assert await socket.recv() == "203.0.113.9 wss runs.example.org"


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "::1"), ("127.0.0.2",)])
async def test_headers_of_a_stranger_are_ignored(tmp_path: Path, trusted: tuple[str, ...]) -> None:
    """Whoever connects from elsewhere may write what they like."""
    said = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "runs.example.org"}
    async with seen_by(tmp_path, trusted_proxies=trusted) as server:
        assert await seen(server, said) == DIRECT
        assert await seen(server, {"Remote-Addr": "10.0.0.1"}) == DIRECT


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9,10.0.0.1 , 10.0.0.2", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:DB8:0::9]:4711", "2001:db8::9"),
        ("[2001:db8::9], fd00::1", "2001:db8::9"),
        ("203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, nonsense", "127.0.0.1"),
        ("nonsense, 10.0.0.1", "10.0.0.1"),
        ("203.0.113.9,", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
        (",,,", "127.0.0.1"),
        ("203.0.113.999", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("3405803785", "127.0.0.1"),
        ("fe80::1%eth0", "127.0.0.1"),
        ("203.0.113.9 198.51.100.1", "127.0.0.1"),
        ('"203.0.113.9"', "127.0.0.1"),
        ("[203.0.113.9", "127.0.0.1"),
        ("203.0.113.9:port", "127.0.0.1"),
    ],
)
async def test_client_is_the_rightmost_address_that_is_no_proxy(known: LiveServer, chain: str, client: str) -> None:
    """What stands left of it the client may have written; what cannot be read ends the chain."""
    assert (await seen(known, {"X-Forwarded-For": chain})).split(" ")[0] == client


async def test_several_header_lines_are_one_chain(known: LiveServer) -> None:
    """Proxies may add a line of their own instead of a comma: the last line is the nearest."""
    lines = "198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.1"
    assert (await seen(known, {"X-Forwarded-For": lines})).split(" ")[0] == "203.0.113.9"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("https,http", "http"), ("wss", "https"),
     ("", "http"), ("ftp", "http"), ("https://", "http"), ("https;", "http"), ("https,", "http")],
)  # fmt: skip
async def test_scheme_is_that_of_the_nearest_proxy(known: LiveServer, proto: str, scheme: str) -> None:
    """The last entry, where it is one."""
    assert (await seen(known, {"X-Forwarded-Proto": proto})).split(" ")[1] == scheme


@pytest.mark.parametrize(
    ("said", "host"),
    [("runs.example.org", "runs.example.org"), ("a.example, b.example:81", "b.example:81"), ("[::1]:81", "[::1]:81")]
    + [(bad, "direct.example:8000") for bad in (
        "", ",", "a b", "a/b", "user@a.example", "a.example:", "a.example:99999", "a.example:x", "a.example?q", "a#b",
        "http://a.example", "bücher.example", "<script>", "[::g]", "a.example\\b", "*", "'a'",
    )],
)  # fmt: skip
async def test_host_is_that_of_the_nearest_proxy_where_it_is_one(known: LiveServer, said: str, host: str) -> None:
    """Host and port, and nothing that is none."""
    assert (await seen(known, {"X-Forwarded-Host": said})).split(" ")[2] == host


async def post_session(server: LiveServer, headers: dict[str, str]) -> RawHttp:
    """The answer to signing in."""
    body = f'{{"token":"{server.token}"}}'.encode()
    async with raw_http(server.url, "/api/v1/session", headers, method="POST", body=body) as answer:
        return answer


async def test_own_origin_and_secure_cookie_follow_the_proxy(known: LiveServer) -> None:
    """Behind a proxy with TLS, pages of its address are our own, and their cookie is for https only."""
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "runs.example.org"}
    own = await post_session(known, {**said, "Origin": "https://runs.example.org"})
    assert own.status == 200
    assert "; Secure" in own.headers["set-cookie"]
    foreign = await post_session(known, {**said, "Origin": known.url})
    assert (foreign.status, "set-cookie" in foreign.headers) == (403, False)
    plain = await post_session(known, {"Origin": known.url})
    assert plain.status == 200
    assert "Secure" not in plain.headers["set-cookie"]


async def test_handshake_through_a_proxy_needs_its_origin(known: LiveServer) -> None:
    """A cookie's WebSocket handshake is judged by where the browser went."""
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "runs.example.org", "Cookie": f"{COOKIE}={known.token}"}
    async with websockets.connect(known.ws_url, additional_headers=said, origin="https://runs.example.org") as socket:  # type: ignore[arg-type]
        assert '"welcome"' in str(await socket.recv())
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(known.ws_url, additional_headers=said, origin=known.url)  # type: ignore[arg-type]


async def test_spoofed_host_makes_no_origin_our_own(tmp_path: Path) -> None:
    """Without a known proxy, ``X-Forwarded-Host`` of a foreign page's request changes nothing."""
    async with live_server(tmp_path, with_document=False) as server:
        said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}
        assert (await post_session(server, said)).status == 403


async def test_public_url_wins_over_what_proxies_say(tmp_path: Path) -> None:
    """It alone is our own origin, and with https makes cookies secure, whatever the last hop looks like."""
    settings = {"trusted_proxies": LOOPBACK, "public_url": "https://runs.example.org"}
    async with live_server(tmp_path, with_document=False, **settings) as server:  # type: ignore[arg-type]
        own = await post_session(server, {"Origin": "https://runs.example.org"})
        assert own.status == 200
        assert "; Secure" in own.headers["set-cookie"]
        said = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "other.example"}
        for origin in (server.url, "http://other.example", "https://other.example", "http://runs.example.org"):
            assert (await post_session(server, {**said, "Origin": origin})).status == 403


async def test_peer_by_ipv6_is_known_by_its_network(tmp_path: Path) -> None:
    """Also where the server listens on IPv6."""
    async with seen_by(tmp_path, host="::1", trusted_proxies=("::1/128",)) as server:
        assert await seen(server, {"X-Forwarded-For": "2001:db8::9"}) == "2001:db8::9 http direct.example:8000"
