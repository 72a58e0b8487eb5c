"""What the server logs: every line under the id of its request or run, and nowhere a secret."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog
import websockets
from live import GatedModel, LiveServer

from orchestrator.ports import ModelChunk, ModelRequest
from realtime.asgi import Message
from realtime.counts import DeliveryCounts
from realtime.log import configure_logging, mask
from realtime.metrics import Metrics
from realtime.ports import User
from realtime.request_log import RequestLog
from realtime.tokens import Tokens

SOMEBODY = User(tenant="demo", id="u1", email="somebody@localhost")
TOKEN = Tokens(b"s" * 32).issue(SOMEBODY, 60)


class Log:
    """What is logged while a test runs, as JSON lines."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._lines: list[dict[str, Any]] = []

    async def find(self, event: str, **fields: object) -> dict[str, Any]:
        """The first line with that event and those fields, as soon as there is one."""
        async with asyncio.timeout(30):
            while True:
                self._lines += [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]
                for line in self._lines:
                    if line["event"] == event and fields.items() <= line.items():
                        return line
                await asyncio.sleep(0.002)


@pytest.fixture
def log(server: LiveServer, capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    """The log, of which everything is kept."""
    configure_logging("debug", "json")
    yield Log(capsys)
    configure_logging("warning")


async def fail(*_: object) -> Any:
    """Fail with secrets in the text, as a library might."""
    raise RuntimeError(f"cannot go on with {TOKEN} for postgresql://runcast:hunter2@db/runcast?code=s3cr3t-code")


def assert_no_secret(text: str) -> None:
    """None of the secrets of `fail` stands in it."""
    for secret in (TOKEN, *TOKEN.split("."), "hunter2", "s3cr3t-code"):
        assert secret not in text, secret


async def test_request_without_id_gets_a_new_one(server: LiveServer) -> None:
    """Every answer, refusals included, names its request; no two have one name."""
    answers = [await server.http.get(path) for path in ("/healthz", "/healthz", "/nowhere", "/api/v1/projects/42")]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 4
    assert all(16 <= len(name) <= 64 for name in ids)


@pytest.mark.parametrize("name", ["a", "0af7651916cd43dd8448eb211c80319c", "job-7_step.2", "x" * 64])
async def test_plain_id_of_a_client_is_kept(server: LiveServer, name: str) -> None:
    """A request that brings an id of up to 64 plain characters is called by it."""
    answer = await server.http.get("/healthz", headers={"X-Request-Id": name})
    assert answer.headers.get_list("X-Request-Id") == [name]


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a;b", "\u00e9", "<script>", "a\tb", "{}"])
async def test_other_id_of_a_client_is_replaced(server: LiveServer, name: str) -> None:
    """An id that is long, or could mean something to whoever reads a log, is not repeated."""
    headers = {b"X-Request-Id": name.encode("latin-1")}
    answer = await server.http.get("/healthz", headers=headers)
    assert answer.headers["X-Request-Id"] != name
    assert answer.headers["X-Request-Id"].isalnum()


async def test_request_is_told_in_one_line_without_its_query(server: LiveServer, log: Log) -> None:
    """A request's line has its method, path, status and time, and nothing of the query; the path stays encoded."""
    answer = await server.http.get("/nowhere/%1b%5b31m?code=s3cr3t-code&x=1")
    line = await log.find("request")
    assert line.pop("ms") >= 0
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "debug",
        "method": "GET",
        "path": "/nowhere/%1b%5b31m",
        "status": 404,
        "request_id": answer.headers["X-Request-Id"],
    }


async def test_failure_is_told_under_its_requests_id(
    server: LiveServer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that fails answers INTERNAL and nothing else; the log has why, by the id that the answer names."""
    monkeypatch.setattr(server.home.backend.accounts, "list_projects", fail)
    answer = await server.http.get("/api/v1/projects", headers={"X-Request-Id": "mine"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "INTERNAL", "message": "The server failed; the failure was logged."}
    request = await log.find("request", request_id="mine")
    failure = await log.find("a request failed", request_id="mine")
    assert "RuntimeError" in failure["exception"]
    assert (request["level"], request["status"]) == ("info", 500)


async def test_connection_has_one_id(server: LiveServer, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is logged for a WebSocket connection has the id that its handshake was answered with."""
    run_id = "5b9c1e5e-0000-4000-8000-000000000000"
    async with server.socket() as socket:
        response = socket.connection.response
        assert response is not None
        monkeypatch.setattr(server.home.backend.runs, "get_run", fail)
        answer = await socket.ask({"op": "subscribe", "run_id": run_id})
        assert (answer["code"], answer["message"]) == ("INTERNAL", "The server failed.")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.receive()
    failure = await log.find("a command failed")
    assert failure["request_id"] == response.headers["X-Request-Id"]


class ContextModel(GatedModel):
    """A model that notes under which names it would log."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, Any] = {}

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.names = structlog.contextvars.get_contextvars()
        async for chunk in super().stream(request):
            yield chunk


@pytest.fixture
def model() -> ContextModel:
    """The model of ``server``."""
    return ContextModel()


async def test_run_logs_under_its_own_id_and_not_its_requests(server: LiveServer, model: ContextModel) -> None:
    """The work on a run outlives the request that started it, and is logged by tenant and run."""
    run_id = await server.start_run(["ba_consultant"])
    async with asyncio.timeout(30):
        await model.asked["ba_consultant"].wait()
    assert model.names == {"tenant": server.home.user.tenant, "run_id": run_id}
    model.finish("ba_consultant")


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_logged(
    server: LiveServer, log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Failures with tokens, codes and passwords in their text, in requests, frames, tasks and libraries: masked."""
    configure_logging("debug", form)
    monkeypatch.setattr(server.home.backend.accounts, "list_projects", fail)
    await server.http.get(f"/api/v1/projects?token={TOKEN}", headers={"Cookie": f"access_token={TOKEN}"})
    async with server.socket() as socket:
        monkeypatch.setattr(server.home.backend.runs, "get_run", fail)
        await socket.ask({"op": "subscribe", "run_id": "5b9c1e5e-0000-4000-8000-000000000000"})
    logging.getLogger("some.library").error("gave up on %s", TOKEN)
    try:
        await fail()
    except RuntimeError as error:
        asyncio.get_running_loop().call_exception_handler({"message": f"lost {TOKEN}", "exception": error})
        structlog.get_logger().warning("told", error=error, nested={"sent": [f"Bearer {TOKEN}"]}, token="hunter2")
    out = capsys.readouterr().err
    assert out.count("cannot go on with ***") >= 4
    assert "gave up on ***" in out
    assert_no_secret(out)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"a {TOKEN} b", "a *** b"),
        (f"cut {TOKEN[:60]}", "cut ***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("authorization=Basic dXNlcg==", "authorization= ***"),
        ("[(b'cookie', b'a=1; access_token=\"x\"')]", "[(b'cookie', ***"),
        ("Set-Cookie: a=1; HttpOnly\nnext", "Set-Cookie: ***\nnext"),
        ("said Bearer abc_d-e~f once", "said Bearer *** once"),
        ("/sign-in?code=abc-_1&x=2", "/sign-in?code=***&x=2"),
        ("?access_token=abc;password=p api_key=k", "?access_token=*** api_key=***"),
        ("postgresql://me:p@ss:w@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("redis://:secret@db", "redis://:***@db"),
        ("http://127.0.0.1:8000/path", "http://127.0.0.1:8000/path"),
        ("error_code=STEP_FAILED, status 404", "error_code=STEP_FAILED, status 404"),
        ("\x1b[31mred\x07\x9b", "\\x1b[31mred\\x07\\x9b"),
    ],
)
def test_masking_takes_secrets_and_leaves_the_rest(text: str, masked: str) -> None:
    """What looks like a secret is masked wherever it stands; other text is as it was, without control characters."""
    assert mask(text) == masked


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_failure_outside_of_every_handler_is_answered(kind: str) -> None:
    """What even the application's own handlers cannot catch is a typed 500 with an id, and goes no further."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def never() -> Message:
        raise AssertionError("nobody reads")

    application = RequestLog(fail, Metrics(DeliveryCounts()))
    await application({"type": kind, "method": "GET", "path": "/", "headers": []}, never, send)
    start, body = sent
    assert start["status"] == 500
    assert b"x-request-id" in dict(start["headers"])
    assert json.loads(body["body"])["error"] == "INTERNAL"
    assert_no_secret(repr(sent))


async def test_client_that_leaves_early_is_logged_without_status(server: LiveServer, log: Log) -> None:
    """A request that its client gives up before the answer is told as one without status."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    writer.close()
    await writer.wait_closed()
    assert (await log.find("request"))["status"] is None
