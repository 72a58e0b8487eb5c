"""A server of OpenAI's chat completions over real sockets, which answers well or misbehaves as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from live import ANSWERS

USAGE = {"prompt_tokens": 300, "completion_tokens": 33, "total_tokens": 333}
DONE = b"data: [DONE]\n\n"


def event(chunk: dict[str, Any]) -> bytes:
    """One chunk of an answer on the wire."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(content: str | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    """A chunk with the next part of the text, or the end of it."""
    choice = {"index": 0, "delta": {"content": content, **more}, "finish_reason": finish_reason}
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def usage(**counts: int) -> bytes:
    """The last chunk, as ``include_usage`` brings it."""
    return event({"choices": [], "usage": counts or USAGE})


class Exchange:
    """One request, as it came, and the way to answer it. ``gone`` is set once the client has closed it."""

    def __init__(self, headers: dict[str, str], target: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.headers = headers
        self.target = target
        self.body: dict[str, Any] = json.loads(body)
        self.gone = asyncio.Event()
        self._writer = writer

    @property
    def agent_type(self) -> str:
        """Whose prompt it is."""
        system = self.body["messages"][0]["content"]
        return next(agent_type for agent_type in ANSWERS if f"<!-- {agent_type}" in system)

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        """Send status and headers; the body follows in chunks."""
        lines = [f"HTTP/1.1 {status} Status", "Transfer-Encoding: chunked", "Connection: close"]
        lines += [f"Content-Type: {content_type}"] if content_type else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def send(self, *parts: bytes) -> None:
        """Send parts of the body, each as one chunk."""
        for part in parts:
            await self.raw(b"%x\r\n%b\r\n" % (len(part), part))

    async def end(self) -> None:
        """Say that the body is whole."""
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        """Send these bytes, whatever they are."""
        self._writer.write(data)
        await self._writer.drain()

    def cut(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


async def well(exchange: Exchange) -> None:
    """Answer with an artifact of the agent that asks, in several parts, and with usage."""
    answer = ANSWERS[exchange.agent_type]
    await exchange.head()
    await exchange.send(delta(role="assistant"), *(delta(answer[at : at + 7]) for at in range(0, len(answer), 7)))
    await exchange.send(delta(finish_reason="stop"), usage(), DONE)
    await exchange.end()


def streaming(*parts: bytes) -> Behaviour:
    """Answer with these parts of a body, which then ends."""

    async def answer(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(*parts)
        await exchange.end()

    return answer


def refusing(status: int, body: Any = "", content_type: str = "application/json", **headers: str) -> Behaviour:
    """Answer with that status and body, which is text or becomes JSON."""

    async def answer(exchange: Exchange) -> None:
        await exchange.head(status, content_type, **headers)
        text = body if isinstance(body, str) else json.dumps(body)
        if text:
            await exchange.send(text.encode())
        await exchange.end()

    return answer


def cutting(*parts: bytes) -> Behaviour:
    """Break the connection after these parts of a body."""

    async def answer(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(*parts)
        exchange.cut()

    return answer


def falling_silent(*parts: bytes) -> Behaviour:
    """Say no more after these parts of a body, until the client has gone."""

    async def answer(exchange: Exchange) -> None:
        if parts:
            await exchange.head()
            await exchange.send(*parts)
        await exchange.gone.wait()

    return answer


def dripping(part: bytes) -> Behaviour:
    """Send the same part again and again, until the client has gone."""

    async def answer(exchange: Exchange) -> None:
        await exchange.head()
        while not exchange.gone.is_set():
            await exchange.send(part)
            await asyncio.sleep(0)

    return answer


class LLMServer:
    """The server. It answers ``well`` unless it was told otherwise; what it was asked is kept in ``asked``."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self.asked: list[Exchange] = []
        self.port = 0
        self._ssl_context = ssl_context
        self._plan: deque[Behaviour] = deque()
        self._always: Behaviour = well
        self._asked = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self.port}/v1"

    def next(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, each once."""
        self._plan.extend(behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """Answer so from now on."""
        self._always = behaviour

    async def request(self, number: int = 1) -> Exchange:
        """The ``number``-th request, as soon as it has come."""
        async with asyncio.timeout(30), self._asked:
            await self._asked.wait_for(lambda: len(self.asked) >= number)
        return self.asked[number - 1]

    async def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, ssl=self._ssl_context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone: nobody listens, and every connection is broken. What a behaviour failed with is raised."""
        assert self._server is not None
        self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        if self._failures:
            raise self._failures.pop()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                exchange = await _read_request(reader, writer)
                watching = asyncio.get_running_loop().create_task(_watch(reader, exchange))
                try:
                    async with self._asked:
                        self.asked.append(exchange)
                        self._asked.notify_all()
                    await (self._plan.popleft() if self._plan else self._always)(exchange)
                    writer.close()
                    await writer.wait_closed()
                except ConnectionError:
                    exchange.gone.set()
                finally:
                    watching.cancel()
        finally:
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Exchange(headers, head[0].split(" ")[1], body, writer)


async def _watch(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    exchange.gone.set()


@contextlib.asynccontextmanager
async def llm_server(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[LLMServer]:
    """A running server, gone at the end."""
    server = LLMServer(ssl_context)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
