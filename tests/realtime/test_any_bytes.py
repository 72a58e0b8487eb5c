"""Any bytes, wherever a client can put some: a documented answer, no failure logged, no byte of another tenant."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import h2.events
import pytest
import pytest_asyncio
import structlog
import websockets
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import example, given, settings
from hypothesis import strategies as st
from live import LiveServer
from properties import PROPERTY
from shared_server import shared, shared_model  # noqa: F401  # fixtures
from two_tenants import Party, settle

from realtime.frames import CloseCode, ErrorCode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLED = settings(PROPERTY, derandomize=True)
"""The same examples in every run, so that what fails is a change of ours."""
BY_TRANSPORT = {1002, 1003, 1007, 1009}
"""Close codes of RFC 6455 for what is no WebSocket message: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1"""
CLOSES = {code.value for code in CloseCode} - {CloseCode.INTERNAL} | BY_TRANSPORT
REFUSED = {400, 401, 403, 404, 405, 413, 414, 429, 431}


class Stage:
    """An owner whose run has ended, and one of another tenant whose live run has the same id."""

    def __init__(self, server: LiveServer, party: Party, twin: Party, log: list[MutableMapping[str, Any]]) -> None:
        self.server = server
        self.party = party
        self.twin = twin
        self._log = log

    def check(self, heard: bytes | str) -> None:
        """Fail where something failed in the server, or something heard is of the other tenant."""
        failures = [
            entry for entry in self._log if entry["log_level"] in {"error", "critical"} or "exc_info" in entry
        ]
        self._log.clear()
        assert failures == []
        text = heard if isinstance(heard, str) else heard.decode("utf-8", "replace")
        assert {secret for secret in self.twin.secrets() - self.party.secrets() if secret in text} == set()

    async def exchange(self, method: str, target: bytes, headers: dict[str, bytes], body: bytes = b"") -> int:
        """The status of the answer to a request of just these bytes; the answer is checked."""
        host = urlsplit(self.server.url)
        reader, writer = await asyncio.open_connection(host.hostname, host.port)
        lines = {"Host": host.netloc.encode(), "Connection": b"close", "Content-Length": str(len(body)).encode()}
        head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in (lines | headers).items())
        try:
            writer.write(method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
            async with asyncio.timeout(30):
                answer = await (reader.readuntil(b"\r\n\r\n") if "Upgrade" in headers else reader.read())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self.check(answer)
        return int(answer.split(b" ", 2)[1])

    @property
    def bearer(self) -> dict[str, bytes]:
        """The header that identifies the owner."""
        return {"Authorization": f"Bearer {self.party.token}".encode()}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Each database has its own opinion of odd bytes."""
    if request.param == "sqlite":
        yield None
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture(scope="module")
def failures(shared: LiveServer) -> Iterator[list[MutableMapping[str, Any]]]:  # noqa: F811
    """What the running server logs, warnings and worse, also what libraries and the event loop do."""
    with structlog.testing.capture_logs() as log:
        yield log


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(shared: LiveServer, failures: list[MutableMapping[str, Any]]) -> AsyncIterator[Stage]:  # noqa: F811
    """The stage of this module; all its logs are read to the end."""
    party = await settle(shared, "globex")
    twin = await settle(shared, "acme", run_id=party.run_id)
    await party.finish()
    stage = Stage(shared, party, twin, failures)
    yield stage
    stage.check("")


async def test_failure_in_the_server_would_be_noticed(stage: Stage) -> None:
    """What the properties below rely on: a failure that is logged, and a text of the other tenant, are found."""
    structlog.get_logger().error("something failed")
    with pytest.raises(AssertionError):
        stage.check("")
    asyncio.get_running_loop().call_exception_handler({"message": "something failed in a task"})
    with pytest.raises(AssertionError):
        stage.check("")
    with pytest.raises(AssertionError):
        stage.check(f"… {stage.twin.marker} …".encode())
    stage.check(stage.party.marker)


VALUES = st.binary(max_size=60).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b""))
"""What can be one line of a header."""
HEADERS = st.sampled_from(["Last-Event-ID", "Authorization", "Cookie", "Origin", "Accept", "X-Forwarded-For"])
PREFIXES = st.sampled_from([b"", b"Bearer ", b"access_token=", b"access_token=a.b.", b"http://", b"7", b"text/html"])
PLACES = st.sampled_from(["stream", "agents", "session", "page", "docs"])


@SAMPLED
@given(place=PLACES, name=HEADERS, prefix=PREFIXES, value=VALUES)
@example(place="stream", name="Last-Event-ID", prefix=b"", value=b"\xb2")
@example(place="stream", name="Last-Event-ID", prefix=b"", value="٣".encode())
@example(place="agents", name="Cookie", prefix=b"access_token=", value=b'"\\377\\000"')
async def test_any_header_is_answered(stage: Stage, place: str, name: str, prefix: bytes, value: bytes) -> None:
    """Cursor, token, cookie, Origin and others of any bytes: a stream, a page or a refusal, as documented."""
    target = {
        "stream": f"/api/v1/events/agent-runs/{stage.party.run_id}",
        "agents": "/api/v1/agents",
        "session": "/api/v1/session",
        "page": f"/projects/{stage.party.project_id}",
        "docs": "/docs",
    }[place]
    method = "DELETE" if place == "session" else "GET"
    identity = {} if name in {"Authorization", "Cookie"} else stage.bearer
    status = await stage.exchange(method, target.encode(), {**identity, name: prefix + value})
    assert status in {200, 204, 303, *REFUSED}


@SAMPLED
@given(name=st.sampled_from(["Authorization", "Cookie", "Origin", "Sec-WebSocket-Protocol"]), value=VALUES)
@example(name="Sec-WebSocket-Protocol", value=b"runcast.v1, \xe1")
async def test_any_header_of_a_handshake_is_answered(stage: Stage, name: str, value: bytes) -> None:
    """A handshake of any token, cookie, Origin or subprotocol is accepted or refused."""
    handshake = {
        "Connection": b"Upgrade",
        "Upgrade": b"websocket",
        "Sec-WebSocket-Version": b"13",
        "Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert await stage.exchange("GET", b"/api/v1/ws", {**handshake, name: value}) in {101, 400, 403, 429, 431}


TARGETS = st.sampled_from(
    [
        "/api/v1/events/agent-runs/{run_id}?last_event_id={any}",
        "/api/v1/events/agent-runs/{any}",
        "/api/v1/projects/{any}/agent-runs",
        "/api/v1/projects/{project_id}/agent-runs/{any}",
        "/api/v1/projects/{project_id}/agent-runs?limit={any}",
        "/api/v1/projects/{project_id}/agent-runs?before={any}",
        "/api/v1/projects/{project_id}/artifacts/{any}",
        "/api/v1/projects/{project_id}/artifacts?run_id={any}",
        "/projects/{project_id}/runs/{any}",
        "/projects/{project_id}/artifacts/{any}",
        "/projects/{project_id}/documents/{document_id}?page={any}",
        "/projects/{project_id}/documents/{document_id}?line={any}",
        "/sign-in?code={any}",
        "/sign-in?next={any}",
        "/static/{any}",
        "/{any}",
    ]
)


@SAMPLED
@given(target=TARGETS, anything=st.binary(max_size=40), quoted=st.booleans())
@example(target="/{any}", anything=b"\xff", quoted=False)
@example(target="/{any}", anything=b"%", quoted=False)
@example(target="/api/v1/events/agent-runs/{any}", anything=b"\x00", quoted=True)
@example(target="/static/{any}", anything=b"../" * 8 + b"etc/passwd", quoted=True)
async def test_any_address_is_answered(stage: Stage, target: str, anything: bytes, quoted: bool) -> None:
    """Ids, cursors, page limits and whole paths of any bytes, percent-encoded or as they are."""
    before, _, after = target.format(**stage.party.ids, any="{any}").partition("{any}")
    sent = quote_from_bytes(anything, safe="").encode() if quoted else anything.translate(None, b"\r\n ")
    status = await stage.exchange("GET", before.encode() + sent + after.encode(), stage.bearer)
    assert status in {200, 204, 303, 308, *REFUSED}


@SAMPLED
@given(method=st.just(b"GET") | VALUES, path=st.just(b"/api/v1/agents") | VALUES, token=VALUES)
@example(method=b"GET", path=b"/\xff", token=b"")
@example(method=b"GET", path=b"?\xff", token=b"")
@example(method=b"G\xffT", path=b"/", token=b"")
@example(method=b"GET", path=b"/api/v1/agents", token=b"\xff")
async def test_any_request_over_http2_is_answered(stage: Stage, method: bytes, path: bytes, token: bytes) -> None:
    """HTTP/2 carries any bytes as method and path, too: an answer, or the end of the connection as RFC 9113 says."""
    host = urlsplit(stage.server.url)
    headers = [(b":method", method), (b":scheme", b"http"), (b":authority", host.netloc.encode()), (b":path", path)]
    free = H2Configuration(header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False)
    client = H2Connection(free)
    client.initiate_connection()
    client.send_headers(1, [*headers, (b"authorization", b"Bearer " + token)], end_stream=True)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    heard: list[h2.events.Event] = []
    try:
        writer.write(client.data_to_send())
        async with asyncio.timeout(30):
            while not any(isinstance(event, ENDS) for event in heard):
                data = await reader.read(65536)
                assert data, f"the connection ended without a word after {heard}"
                heard += client.receive_data(data)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    for event in heard:
        if isinstance(event, h2.events.ResponseReceived):
            assert int(dict(event.headers)[b":status"]) in {200, 303, 308, *REFUSED}
    stage.check(b"".join(event.data for event in heard if isinstance(event, h2.events.DataReceived)))


ENDS = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)


TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "\x00", "\ud800", "\u202e", "x" * 70, "ba_consultant"]
)
"""Surrogates among it, which JSON can say and UTF-8 cannot."""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 7, -1, 2**53, 2**63, 2**64, -(2**70), 10**400])
    | st.floats()
    | TEXT
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
DEEP = st.sampled_from([b"[" * 30_000, b'{"a":' * 9000 + b"1" + b"}" * 9000, b'{"op":"ping","ref":' + b"[" * 30_000])


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with any of these fields, each as it should be or anything at all."""
    return st.fixed_dictionaries({}, optional={name: value | ANYTHING for name, value in fields.items()})


BODIES = (
    st.binary(max_size=200)
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | DEEP
    | objects(
        agents_selected=st.just(["qa_consultant"]),
        pipeline_mode=st.just("parallel"),
        run_id=st.uuids().map(str),
        path=TEXT,
        content=TEXT,
        token=TEXT,
    ).map(lambda value: json.dumps(value).encode())
)
KINDS = st.sampled_from(
    [
        b"application/json",
        b"multipart/form-data; boundary=x",
        b"multipart/form-data",
        b"text/plain; charset=\xff",
        b"",
    ]
)


@SAMPLED
@given(what=st.sampled_from(["documents", "agent-runs", "session"]), kind=KINDS, body=BODIES)
@example(
    what="documents",
    kind=b"multipart/form-data; boundary=x",
    body=b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff\x00"\r\n\r\n\xff\r\n--x--\r\n',
)
async def test_any_body_is_answered(stage: Stage, what: str, kind: bytes, body: bytes) -> None:
    """Documents, runs and tokens of any bytes, under any content type: done, or refused with a reason."""
    path = "/api/v1/session" if what == "session" else f"/api/v1/projects/{stage.party.project_id}/{what}"
    status = await stage.exchange("POST", path.encode(), {**stage.bearer, "Content-Type": kind}, body)
    assert status in {200, 201, 409, *REFUSED}


RUN_IDS = st.sampled_from(["own", "foreign"]) | st.uuids().map(str)
"""The first two stand for ids that are known only when the server runs."""
COMMANDS = st.fixed_dictionaries(
    {"op": st.sampled_from(["subscribe", "unsubscribe", "ack", "ping", "watch_project"]) | ANYTHING},
    optional={
        "ref": ANYTHING,
        "run_id": RUN_IDS | ANYTHING,
        "project_id": RUN_IDS | ANYTHING,
        "last_event_id": st.integers(0, 9) | ANYTHING,
        "event_id": st.integers(0, 9) | ANYTHING,
        "client_id": st.just("laptop") | ANYTHING,
        "from": st.sampled_from(["start", "now"]) | ANYTHING,
        "token": ANYTHING,
    },
)
MESSAGES = (
    COMMANDS.map(json.dumps)
    | COMMANDS.map(lambda command: json.dumps(command).encode())
    | COMMANDS.map(lambda command: json.dumps(command)[:-1])
    | ANYTHING.map(json.dumps)
    | st.text(max_size=100)
    | st.binary(max_size=100)
    | DEEP
)


async def converse(stage: Stage, messages: list[str | bytes], **options: Any) -> tuple[list[str], int | None]:
    """What the server sends in answer to all the messages, and its close code where it closed before the end."""
    said: list[str] = []
    async with stage.server.socket(additional_headers=stage.party.headers) as socket:
        try:
            for message in messages:
                await socket.connection.send(message, **options)
            await socket.send({"op": "ping", "ref": "the end"})
            async with asyncio.timeout(30):
                while json.loads(said[-1] if said else "{}") != {"op": "pong", "ref": "the end"}:
                    said.append(str(await socket.connection.recv()))
        except websockets.ConnectionClosed as closed:
            return said, None if closed.rcvd is None else closed.rcvd.code
    return said, 1000


@SAMPLED
@given(messages=st.lists(MESSAGES, min_size=1, max_size=12))
@example(messages=['{"op":"subscribe","run_id":"foreign","client_id":"\\u0000"}'] * 2)
@example(messages=['{"op":"subscribe","run_id":"own","client_id":"\\ud800"}'])
@example(messages=['{"op":"authenticate","token":"\\ud800"}'])
async def test_any_messages_are_answered(stage: Stage, messages: list[str | bytes]) -> None:
    """Commands of wrong types, text, bytes: typed errors or a documented close, and what is said is a known frame."""
    ids = {"own": stage.party.run_id, "foreign": stage.twin.project_id}
    for name, known in ids.items():
        messages = [
            message.replace(f'"{name}"', f'"{known}"')
            if isinstance(message, str)
            else message.replace(f'"{name}"'.encode(), f'"{known}"'.encode())
            for message in messages
        ]
    said, code = await converse(stage, messages)
    assert code in CLOSES
    for text in said:
        frame = json.loads(text)
        assert frame.get("op", frame.get("type")) in KNOWN, frame
        assert frame.get("code", ErrorCode.BAD_FRAME) in set(ErrorCode) - {ErrorCode.INTERNAL}, frame
    echoed = stage.twin.project_id  # what is asked for is named in the refusal
    stage.check("".join(said).replace(echoed, ""))


KNOWN = {
    *("subscribed", "reset", "unsubscribed", "acked", "pong", "error", "finished", "welcome", "expiring", "project"),
    *("queued", "running", "complete", "heartbeat"),
}


@SAMPLED
@given(message=st.binary(max_size=100))
@example(message=b"\xff")
@example(message="\ud800".encode(errors="surrogatepass"))
@example(message=b'{"op":"ping","ref":"\xc3"}')
async def test_any_bytes_in_a_text_message_are_answered_or_closed(stage: Stage, message: bytes) -> None:
    """Text that is no UTF-8 ends its connection as RFC 6455 says, with 1007; nothing else comes of it."""
    said, code = await converse(stage, [message], text=True)
    try:
        message.decode()
    except UnicodeDecodeError:
        assert code == 1007
    else:
        assert code in CLOSES
    stage.check("".join(said))
