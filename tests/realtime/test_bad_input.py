"""What nobody should send: it is refused with the right word, and nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import pytest
import websockets
from live import ALL_AGENTS, LiveServer
from raw_peer import raw_http, raw_socket
from rest_answers import refusal
from seeded import all_gone, seed_run
from shared_server import shared, shared_database_url, shared_model  # noqa: F401  # fixtures

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:  # noqa: F811
    """The server of this module."""
    return shared


async def kept(server: LiveServer, path: str) -> list[str]:
    """The ids of what is listed there."""
    answer = (await server.http.get(path)).json()
    (listed,) = (value for value in answer.values() if isinstance(value, list))
    return [item["id"] for item in listed]


DEEP = b'{"op":' + b"[" * 20_000 + b"]" * 20_000 + b"}"

BAD_FRAMES: list[tuple[str, bytes | str, str]] = [
    ("empty", "", "BAD_FRAME"),
    ("no JSON", "hello", "BAD_FRAME"),
    ("half JSON", '{"op":"ping"', "BAD_FRAME"),
    ("two objects", '{"op":"ping"}{"op":"ping"}', "BAD_FRAME"),
    ("no object", '["ping"]', "BAD_FRAME"),
    ("null", "null", "BAD_FRAME"),
    ("no op", "{}", "BAD_FRAME"),
    ("op is a number", '{"op":1}', "BAD_FRAME"),
    ("deep nesting", DEEP.decode(), "BAD_FRAME"),
    ("deep ref", '{"op":"ping","ref":' + "[" * 9000 + "]" * 9000 + "}", "BAD_FRAME"),
    ("unknown op", '{"op":"delete_everything"}', "UNKNOWN_OP"),
    ("op of another case", '{"op":"PING"}', "UNKNOWN_OP"),
    (
        "project that is not there",
        json.dumps({"op": "watch_project", "project_id": str(uuid4())}),
        "PROJECT_NOT_FOUND",
    ),
    ("project id of no UUID", '{"op":"watch_project","project_id":"42"}', "BAD_FRAME"),
    ("subscribe without run", '{"op":"subscribe"}', "BAD_FRAME"),
    ("run id of no UUID", '{"op":"subscribe","run_id":"42"}', "BAD_FRAME"),
    ("run id of SQL", '{"op":"subscribe","run_id":"\'; DROP TABLE agent_runs; --"}', "BAD_FRAME"),
    ("strange from", json.dumps({"op": "subscribe", "run_id": str(uuid4()), "from": "tomorrow"}), "BAD_FRAME"),
    ("long client id", json.dumps({"op": "subscribe", "run_id": str(uuid4()), "client_id": "x" * 65}), "BAD_FRAME"),
    ("empty client id", json.dumps({"op": "subscribe", "run_id": str(uuid4()), "client_id": ""}), "BAD_FRAME"),
    ("ack of text", json.dumps({"op": "ack", "run_id": str(uuid4()), "event_id": "7"}), "BAD_FRAME"),
    ("ack of a fraction", json.dumps({"op": "ack", "run_id": str(uuid4()), "event_id": 7.5}), "BAD_FRAME"),
    ("ack beyond numbers", f'{{"op":"ack","run_id":"{uuid4()}","event_id":{"9" * 30}}}', "BAD_FRAME"),
    ("ack of 20 000 digits", f'{{"op":"ack","run_id":"{uuid4()}","event_id":{"9" * 20_000}}}', "BAD_FRAME"),
    ("ref beyond numbers", f'{{"op":"ping","ref":{2**70}}}', "BAD_FRAME"),
    ("ref that is an object", '{"op":"ping","ref":{}}', "BAD_FRAME"),
    ("bytes that are no text", b"\xff\xfe\x00", "BAD_FRAME"),
    ("half a surrogate", '{"op":"\\ud800"}', "BAD_FRAME"),
    ("unknown run", json.dumps({"op": "subscribe", "run_id": str(uuid4())}), "RUN_NOT_FOUND"),
]


async def test_every_bad_frame_is_told_and_nothing_is_lost(server: LiveServer) -> None:
    """A frame that cannot be obeyed gets its error code, is not fatal, and the stream goes on whole beside it."""
    run = await seed_run(server)
    async with server.socket() as socket:
        await socket.ask({"op": "subscribe", "run_id": run.id})
        ids = [event["id"] for event in await socket.events_until(1)]
        for name, frame, code in BAD_FRAMES:
            await socket.connection.send(frame)
            answer = await socket.receive()
            while "op" not in answer:
                ids.append(answer["id"])
                answer = await socket.receive()
            assert (answer["op"], answer.get("code"), answer.get("fatal")) == ("error", code, False), (name, answer)
            await run.progress(name)
        await run.finish()
        ids += [event["id"] for event in await socket.events_until()]
    assert ids == list(range(1, len(BAD_FRAMES) + 3))


async def test_binary_frame_with_a_command_is_obeyed_or_refused_never_fatal(server: LiveServer) -> None:
    """A binary message is read like a text message: what counts is the JSON in it."""
    async with server.socket() as socket:
        await socket.connection.send(b'{"op":"ping","ref":1}')
        answer = await socket.receive()
        assert (answer["op"], answer.get("ref"), answer.get("fatal", False)) in {
            ("pong", 1, False),
            ("error", None, False),
        }


async def test_frame_over_the_limit_is_told_then_closed(server: LiveServer) -> None:
    """A frame of more than 64 KiB gets TOO_LARGE and close 4400; one of just 64 KiB is read."""
    async with server.socket() as socket:
        fits = json.dumps({"op": "ping", "ref": "x"})
        await socket.connection.send(fits + " " * (65536 - len(fits)))
        assert (await socket.receive())["op"] == "pong"
        await socket.connection.send(fits + " " * (65537 - len(fits)))
        answer = await socket.receive()
        assert (answer["code"], answer["fatal"]) == ("TOO_LARGE", True)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


async def test_message_far_over_the_limit_is_closed_with_1009(server: LiveServer) -> None:
    """What is beyond buffering is refused by the transport, whole or in fragments, and the connection ends."""

    async def fragments() -> Any:
        for _ in range(40):
            yield "x" * 8192

    for message in ("x" * 300_000, fragments()):
        async with server.socket() as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.connection.send(message)
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await socket.receive()
            assert socket.connection.close_code in {1009, 1006}
    await all_gone(server)


async def test_bytes_that_break_the_framing_end_only_that_connection(server: LiveServer) -> None:
    """Garbage in place of WebSocket frames ends its connection; a viewer beside it sees everything."""
    run = await seed_run(server)
    async with server.socket() as witness:
        await witness.ask({"op": "subscribe", "run_id": run.id})
        for garbage in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x81\x05hello", b"\xc1\x85\x00\x00\x00\x00hello"):
            async with raw_socket(server.ws_url, server.headers) as raw:
                assert (await raw.read_json() or {})["op"] == "welcome"
                await raw.send(garbage)
                while await raw.read_json() is not None:
                    pass
        await run.progress("Reading")
        await run.finish()
        assert [event["id"] for event in await witness.events_until()][-1] == 3
    await all_gone(server)


BAD_RUNS: list[tuple[bytes | dict[str, Any], str]] = [
    ({"agents_selected": []}, "NO_AGENTS_SELECTED"),
    ({}, "NO_AGENTS_SELECTED"),
    ({"agents_selected": ["ba_consultant", "nobody"]}, "INVALID_AGENT_TYPE"),
    ({"agents_selected": [""]}, "INVALID_AGENT_TYPE"),
    ({"agents_selected": ["qa_consultant", "qa_consultant"]}, "DUPLICATE_AGENT"),
    ({"agents_selected": ALL_AGENTS, "pipeline_mode": "sideways"}, "INVALID_PIPELINE_MODE"),
    ({"agents_selected": ALL_AGENTS, "run_id": "42"}, "BAD_REQUEST"),
    ({"agents_selected": ALL_AGENTS, "surprise": 1}, "BAD_REQUEST"),
    ({"agents_selected": "ba_consultant"}, "BAD_REQUEST"),
    ({"agents_selected": [1]}, "BAD_REQUEST"),
    ({"agents_selected": None}, "BAD_REQUEST"),
    (b"", "BAD_REQUEST"),
    (b"{", "BAD_REQUEST"),
    (b"[]", "BAD_REQUEST"),
    (b"\xff", "BAD_REQUEST"),
    (b'{"agents_selected":["\xff"]}', "BAD_REQUEST"),
    (b'{"agents_selected":["\\ud800"]}', "BAD_REQUEST"),
    (b'{"agents_selected":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "BAD_REQUEST"),
]


async def test_every_bad_start_is_400_and_starts_nothing(server: LiveServer) -> None:
    """Each way to ask for no possible run has its code, and no run comes of it."""
    path = f"{server.project}/agent-runs"
    before = await kept(server, path)
    for body, code in BAD_RUNS:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await server.http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert refusal(answer) == (400, code), (body, answer.text)
    assert await kept(server, path) == before


BAD_DOCUMENTS: list[tuple[str, bytes]] = [
    ("empty.md", b""),
    ("blank.md", b" \n\t "),
    ("binary.md", b"text\x00more"),
    ("latin.md", b"caf\xe9"),
    ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00"),
    ("../up.md", b"x"),
    ("a/../../up.md", b"x"),
    ("/etc/absolute.md", b"x"),
    ("a//b.md", b"x"),
    ("./a.md", b"x"),
    ("a\\b.md", b"x"),
    ("a\nb.md", b"x"),
    ("a\x1b[31m.md", b"x"),
    ("a\u202eb.md", b"x"),
    ("x" * 301, b"x"),
    ("", b"x"),
]


async def test_every_bad_document_is_refused_and_not_kept(server: LiveServer) -> None:
    """Empty, binary, non-UTF-8, and paths that are no plain relative ones: INVALID_DOCUMENT, and nothing is kept."""
    path = f"{server.project}/documents"
    before = await kept(server, path)
    for name, content in BAD_DOCUMENTS:
        with contextlib.suppress(UnicodeDecodeError):
            body = {"path": name, "content": content.decode()}
            answer = await server.http.post(path, json=body)
            assert refusal(answer) == (400, "INVALID_DOCUMENT"), name
    for name, content in BAD_DOCUMENTS[:5]:
        answer = await server.http.post(path, files={"file": (name, content)})
        assert refusal(answer) == (400, "INVALID_DOCUMENT"), name
    mixed = [("file", ("good.md", b"good")), ("file", ("bad.md", b"\xff"))]
    assert refusal(await server.http.post(path, files=mixed)) == (400, "INVALID_DOCUMENT")
    assert await kept(server, path) == before


async def test_uploads_of_no_readable_form_are_400(server: LiveServer) -> None:
    """Bodies that are neither a document as JSON nor a form with files are told as such."""
    path = f"{server.project}/documents"
    for content, kind in (
        (b"", "application/json"),
        (b"plain text", "text/plain"),
        (b"{}", "application/json"),
        (b'{"path":"a.md","content":"\\ud800"}', "application/json"),
        (b'{"path":"\\udfff.md","content":"x"}', "application/json"),
        (b"", "multipart/form-data"),
        (b"nonsense", "multipart/form-data"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nv\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ):
        answer = await server.http.post(path, content=content, headers={"Content-Type": kind})
        assert refusal(answer) == (400, "BAD_REQUEST"), (content, kind, answer.text)


async def test_document_over_five_megabytes_is_413(server: LiveServer) -> None:
    """5 000 000 bytes are kept, one more is DOCUMENT_TOO_LARGE, as JSON and as a file."""
    path = f"{server.project}/documents"
    big = b"x" * 5_000_001
    for sent in ({"json": {"path": "big.md", "content": big.decode()}}, {"files": {"file": ("big.md", big)}}):
        assert refusal(await server.http.post(path, **sent)) == (413, "DOCUMENT_TOO_LARGE")
    assert (await server.http.post(path, files={"file": ("big.md", big[1:])})).status_code == 201


async def test_request_over_the_total_limit_is_413(server: LiveServer) -> None:
    """A body of more than 32 MiB is refused before it is read, and the server goes on."""
    head = {**server.headers, "Content-Type": "application/json", "Content-Length": str(33 * 1024 * 1024)}
    async with raw_http(server.url, f"{server.project}/documents", head, method="POST") as answer:
        assert answer.status == 413
        assert set(json.loads(await answer.body())) == {"error", "message"}
    assert (await server.http.get("/healthz")).status_code == 200


async def test_requests_that_are_no_http_end_only_themselves(server: LiveServer) -> None:
    """Garbage, endless headers and half a request leave the server answering others."""
    host, port = server.url.removeprefix("http://").split(":")
    for garbage in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"GET / HT",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(garbage)
            await writer.drain()
        assert (await server.http.get("/healthz")).status_code == 200
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_paths_outside_the_files_of_the_page_are_not_served(server: LiveServer) -> None:
    """Walking up from the static files leads nowhere."""
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fpyproject.toml",
        "/static//etc/passwd",
    ):
        async with raw_http(server.url, path, {"Connection": "close"}) as answer:
            assert answer.status in {301, 308, 400, 404}, path
