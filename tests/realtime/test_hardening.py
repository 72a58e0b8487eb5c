"""What strangers can send, and what browsers are told with every answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import LiveServer, live_server
from raw_peer import raw_http
from seeded import seed_run
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

from realtime.asgi import Message, Receive, Scope, Send
from realtime.endpoints import body as body_module
from realtime.endpoints.body import MAX_REQUEST_BYTES
from realtime.endpoints.documents import MAX_UPLOAD_BYTES
from realtime.hardening import Hardened

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE_POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
OTHER_POLICY = {"default-src 'none'", "frame-ancestors 'none'"}
MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


def policy(headers: httpx2.Headers | dict[str, str]) -> set[str]:
    """The directives of the one content security policy."""
    return set(headers["content-security-policy"].split("; "))


def refusal(status: int, body: bytes) -> tuple[int, str]:
    """Status and code of an answer that is an error in the one shape."""
    error = json.loads(body)
    assert set(error) == {"error", "message"}, error
    return status, error["error"]


ANSWERS = [
    ("GET", "/healthz", 200),
    ("HEAD", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/api/v1/agents", 200),
    ("GET", "/api/v1/nowhere", 404),
    ("GET", "/nowhere", 404),
    ("PUT", "/api/v1/agents", 405),
    ("GET", "/api/v1/projects/42/documents", 400),
    ("GET", "/static/run-client.js", 200),
    ("GET", "/static/style.css", 200),
    ("GET", "/static/nowhere.js", 404),
    ("DELETE", "/api/v1/session", 204),
    ("OPTIONS", "/api/v1/agents", 200),
    ("GET", "/", 303),
    ("GET", "/api/v1//agents", 404),
    ("GET", "//api/v1/agents", 401),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_is_strict(server: LiveServer, method: str, path: str, status: int) -> None:
    """Whatever is answered: no sniffing, no framing, no foreign referrer, and no policy but the strict one."""
    answer = await server.http.request(method, path)
    if path.startswith("//"):  # a URL of another host, to a polite library
        async with raw_http(server.url, path, server.headers) as raw:
            answer = httpx2.Response(raw.status, headers=raw.headers)
        status = raw.status
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    assert policy(answer.headers) == (PAGE_POLICY if is_page else OTHER_POLICY)
    assert answer.headers["Cache-Control"] == ("no-cache" if path == "/static/run-client.js" else "no-store") or (
        path == "/static/style.css"
    )
    assert "Strict-Transport-Security" not in answer.headers
    assert "Server" not in answer.headers
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"):
        assert len(answer.headers.get_list(name)) == 1, name


async def test_pages_may_run_only_our_scripts(server: LiveServer) -> None:
    """Each page, those of errors included, has the narrow policy and no inline code, shares no window, no device."""
    origin = {"Origin": server.url, "Accept": "text/html"}
    project = f"/projects/{server.home.project_id}"
    pages = [
        await server.http.get("/sign-in"),
        await server.http.get(project),
        await server.http.get(f"{project}/artifacts"),
        await server.http.get("/nowhere", headers=origin),
        await server.http.get("/projects/42", headers=origin),
        await server.http.post("/sign-in", data={"code": "guess"}, headers=origin),
    ]
    assert [page.status_code for page in pages] == [200, 200, 200, 404, 400, 401]
    for page in pages:
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert policy(page.headers) == PAGE_POLICY
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in page.headers["Permissions-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert "style=" not in page.text
        assert " onclick" not in page.text
        scripts = page.text.split("<script")[1:]
        assert all('src="/static/' in script or 'type="application/json"' in script for script in scripts)


async def test_stream_and_refused_handshake_are_strict(server: LiveServer) -> None:
    """An event stream and a handshake that is refused have the headers, too."""
    run = await seed_run(server)
    async with raw_http(server.url, f"/api/v1/events/agent-runs/{run.id}", server.headers) as stream:
        assert stream.status == 200
        assert policy(stream.headers) == OTHER_POLICY
        assert stream.headers["x-content-type-options"] == "nosniff"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(server.ws_url, additional_headers={"Origin": "https://evil.example"}):
            pass
    response = refused.value.response
    assert response.status_code == 403
    assert set(response.headers["Content-Security-Policy"].split("; ")) == OTHER_POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("scheme", "known", "told"),
    [
        ("http", False, False),
        ("https", False, True),
        ("ws", False, False),
        ("wss", False, True),
        ("http", True, True),
    ],
)
async def test_https_is_asked_for_only_over_https(scheme: str, known: bool, told: bool) -> None:
    """A browser that comes by https, or is known to, is told to stay with it; over http that would mean nothing."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def application(_: Scope, __: Receive, answer: Send) -> None:
        await answer({"type": "http.response.start", "status": 200, "headers": [(b"X-Own", b"1")]})

    await Hardened(application, https=known)(
        {"type": "http", "path": "/", "scheme": scheme, "headers": []}, receive, send
    )
    headers = dict(sent[0]["headers"])
    assert (b"strict-transport-security" in headers) is told
    assert headers[b"x-own"] == b"1"


@pytest.mark.parametrize("host", ["..", "a..b", "a" * 300, ".", "x" * 64 + ".example"])
async def test_impossible_host_is_400(server: LiveServer, host: str) -> None:
    """A host that cannot be one is refused in the one shape, before anything is routed, over HTTP and WebSocket."""
    for path, more in (
        ("/api/v1/agents", {}),
        (
            "/api/v1/ws",
            {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            },
        ),
    ):
        async with raw_http(server.url, path, {"Host": host, **more}) as answer:
            assert answer.status == 400
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/api/v1//agents", "/api/v1/agents/", "/api/v1/%ff%fe", "/api/v1/projects/%00/documents", "/api/v1/", "*"],
)
async def test_api_path_that_leads_nowhere_answers_no_page(server: LiveServer, path: str) -> None:
    """Doubled slashes, trailing ones and bytes that are no text get JSON: never a redirect, never HTML."""
    async with raw_http(server.url, path, server.headers) as answer:
        assert answer.status in {400, 404}
        assert answer.headers["content-type"] == "application/json"
        assert set(json.loads(await answer.body())) == {"error", "message"}


async def test_refusals_repeat_little_of_what_was_sent(server: LiveServer) -> None:
    """However long the nonsense is, an error repeats at most 64 characters of it."""
    long = "z" * 5000
    runs, documents = f"{server.project}/agent-runs", f"{server.project}/documents"
    answers = [
        await server.http.post(runs, json={long: 1}),
        await server.http.post(runs, json={"agents_selected": [long]}),
        await server.http.post(runs, json={"agents_selected": ["ba_consultant"], "pipeline_mode": long}),
        await server.http.post(runs, json={"agents_selected": ["ba_consultant"], "run_id": long}),
        await server.http.post(documents, json={"path": long, "content": "x"}),
        await server.http.post(documents, json={"path": long + "\x00", "content": "x"}),
        await server.http.post(documents, files={"file": (long, b"x")}),
        await server.http.get(f"/api/v1/projects/{long}"),
        await server.http.get(f"{runs}/{long}"),
        await server.http.get(f"{runs}?limit={long}"),
        await server.http.get(f"{runs}?before={long}"),
        await server.http.get(f"/{long}"),
        await server.http.get("/api/v1/agents", headers={"Authorization": f"Bearer {long}"}),
        await server.http.post("/api/v1/session", json={"token": long}),
        await server.http.post("/api/v1/session", json={long: long}),
        await server.http.get(f"/api/v1/events/agent-runs/{long}"),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.request.url
        assert "z" * 65 not in answer.text, (answer.request.method, answer.text[:300])
    async with server.socket() as socket:
        for frame in (
            {"op": long},
            {"op": "subscribe", "run_id": long},
            {"op": "subscribe", "run_id": str(uuid4()), "from": long},
            {"op": "subscribe", "run_id": str(uuid4()), "client_id": long},
            {"op": "ack", "run_id": str(uuid4()), "event_id": long},
        ):
            assert "z" * 65 not in (await socket.ask(frame))["message"]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.md"\r\n\r\n'


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_endless_upload_is_413(server: LiveServer, kind: str) -> None:
    """A body without length is counted as it comes, in forms as well: beyond 32 MiB it is refused, and told."""
    head = {**server.headers, "Content-Type": kind, "Transfer-Encoding": "chunked"}
    piece = chunk(b"x" * MEBIBYTE)
    parts = [chunk(FORM_HEAD if "form" in kind else b'{"path":"'), *[piece] * (MAX_UPLOAD_BYTES // MEBIBYTE + 1)]
    async with raw_http(server.url, f"{server.project}/documents", head, method="POST", parts=parts) as answer:
        assert refusal(answer.status, await answer.body()) == (413, "REQUEST_ENTITY_TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["/api/v1/session", "{project}/agent-runs", "/documents", "/sign-in", "{project}/agent-runs/documents"]
)
@pytest.mark.parametrize("chunked", [True, False])
async def test_large_body_is_only_for_documents(server: LiveServer, path: str, chunked: bool) -> None:
    """Anywhere but at a project's documents a body has 64 KiB, with a length or without; the answer always comes."""
    path = path.format(project=server.project)
    size = MAX_REQUEST_BYTES * 4
    head = {**server.headers, "Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
    head |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
    parts = [chunk(b"x" * size)] if chunked else [b"x" * size]
    async with raw_http(server.url, path, head, method="POST", parts=parts) as answer:
        assert refusal(answer.status, await answer.body()) in {
            (413, "REQUEST_ENTITY_TOO_LARGE"),
            (404, "NOT_FOUND"),
            (405, "METHOD_NOT_ALLOWED"),
        }
        assert answer.status == 413 or path.endswith("/documents")


async def test_upload_is_refused_before_it_is_read(server: LiveServer) -> None:
    """Who may not upload is told so while the body is still to come; hardly any of it is taken before."""
    viewer = await server.user_with_role("viewer")
    for token, status in (("nonsense", 401), (viewer, 403)):
        head = {"Authorization": f"Bearer {token}", "Content-Length": str(5 * MEBIBYTE)}
        async with raw_http(server.url, f"{server.project}/documents", head, method="POST", parts=[b"x"]) as answer:
            assert answer.status == status


async def test_upload_waits_outside_until_it_is_authorised(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is not known whether somebody may upload, the server takes no more than a little of what they send."""
    known, get_role = asyncio.Event(), server.home.backend.accounts.get_role

    async def get_role_later(*who: str) -> str | None:
        await known.wait()
        return await get_role(*who)

    monkeypatch.setattr(server.home.backend.accounts, "get_role", get_role_later)
    size = MAX_UPLOAD_BYTES
    head = f"POST {server.project}/documents HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    loop, address = asyncio.get_running_loop(), urlsplit(server.url)
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        await loop.sock_connect(client, (address.hostname, address.port))
        await loop.sock_sendall(client, head.encode())
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < size:
                await asyncio.wait_for(loop.sock_sendall(client, bytes(65536)), 1)
                sent += 65536
        assert sent < size / 2
        known.set()
        while sent < size:
            await loop.sock_sendall(client, bytes(65536))
            sent += 65536
        assert b" 400 " in await loop.sock_recv(client, 20)


async def test_refused_upload_of_a_polite_client_is_told(server: LiveServer) -> None:
    """A client that reads only when it has sent everything gets the refusal, not a cut connection."""
    head = {"Authorization": "Bearer nonsense"}
    for size in (MEBIBYTE, 8 * MEBIBYTE, MAX_UPLOAD_BYTES + MEBIBYTE):
        answer = await server.http.post(f"{server.project}/documents", content=b"x" * size, headers=head)
        assert refusal(answer.status_code, answer.content) == (401, "NOT_AUTHENTICATED")


async def test_body_that_never_comes_is_408(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops in its middle is waited for, but not for ever; then the answer comes at once."""
    monkeypatch.setattr(body_module, "LINGER_S", 0.05)
    async with live_server(tmp_path) as server:
        server.home.app.config["BODY_TIMEOUT"] = 0.1
        for path, kind in (
            ("/api/v1/session", "application/json"),
            (f"{server.project}/documents", "application/json"),
            (f"{server.project}/documents", "multipart/form-data; boundary=b"),
        ):
            head = {**server.headers, "Content-Type": kind, "Content-Length": "10000"}
            async with raw_http(server.url, path, head, method="POST", parts=[FORM_HEAD]) as answer:
                assert refusal(answer.status, await answer.body()) == (408, "REQUEST_TIMEOUT")


async def test_form_of_too_many_parts_is_413(server: LiveServer) -> None:
    """A form has at most a thousand parts, however small they are."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\nx\r\n'
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await server.http.post(f"{server.project}/documents", content=part * 1001 + b"--b--\r\n", headers=head)
    assert refusal(answer.status_code, answer.content) == (413, "REQUEST_ENTITY_TOO_LARGE")
    field = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"x" * MEBIBYTE + b"\r\n--b--\r\n"
    answer = await server.http.post(f"{server.project}/documents", content=field, headers=head)
    assert refusal(answer.status_code, answer.content) == (413, "REQUEST_ENTITY_TOO_LARGE")


FORM_PIECES = [
    *(b"--b", b"--b--", b"\r\n", b"\n", b"\r\n\r\n", b"x", b"\x00\xff"),
    *(b"Content-Disposition: form-data", b'; name="file"', b'; filename="a.md"', b"; filename*=u"),
    *(b"Content-Type: text/plain; charset=\xff", b"Content-Length: -1"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.sampled_from(FORM_PIECES), max_size=30),
    boundary=st.sampled_from(["b", '"b"', "", "\u00e9", "b;charset=\u00ff", "b" * 300]),
)
async def test_no_form_makes_the_server_fail(server: LiveServer, pieces: list[bytes], boundary: str) -> None:
    """Whatever stands in a form, the answer is a refusal or the documents: never a failure of the server."""
    kind = f"multipart/form-data; boundary={boundary}".encode("latin-1")
    answer = await server.http.post(
        f"{server.project}/documents", content=b"".join(pieces), headers={b"Content-Type": kind}
    )
    assert answer.status_code in {201, 400, 413}, answer.text
