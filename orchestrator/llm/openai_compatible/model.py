"""The model behind the port: one streamed request for each question."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

import httpx2

from orchestrator.context import estimated_tokens
from orchestrator.errors import ModelError
from orchestrator.llm.openai_compatible.dialect import Dialect, api_url, completions_url
from orchestrator.llm.openai_compatible.estimate import AnswerProgress, expected_tokens
from orchestrator.llm.openai_compatible.failures import Failures, read_error
from orchestrator.llm.openai_compatible.messages import Message, messages_of
from orchestrator.llm.openai_compatible.stream import AnswerReader, BadStreamError, Piece, RefusedInStreamError
from orchestrator.ports import Clock, ModelChunk, ModelRequest, ModelText, ModelUsage

CONNECT_S = 10.0
"""How long opening a connection may take."""
WHOLE_S = 3600.0
"""How long an answer may take from the request to its end."""
_ERROR_BYTES = 65_536
_STREAM = "text/event-stream"
_UNREAD_SHARE = 4
"""Where an endpoint counts so many times less than the estimate, it has cut the request off: no text is so cheap."""


class OpenAICompatibleModel:
    """Answers through ``POST {base_url}/chat/completions``, streamed. Close it with `aclose`.

    ``base_url`` has a scheme and a host, no user and no query. ``key`` goes to that place only: redirects are not
    followed, and no error holds it. ``timeout_s`` is how long the endpoint may be silent, ``whole_s`` how long an
    answer may take. TLS is verified, by the authorities of the system or those that ``SSL_CERT_FILE`` names. Proxies
    of the environment are used, but never for this machine itself.

    Raises:
        OSError: the trusted certificates cannot be read.

    """

    def __init__(
        self,
        base_url: str,
        name: str,
        clock: Clock,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        max_output_tokens: int = 16_000,
        whole_s: float = WHOLE_S,
    ) -> None:
        self._name = name
        self._clock = clock
        self._url = completions_url(base_url)
        self._headers = {"Accept": _STREAM, "Accept-Encoding": "identity"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._max_output_tokens = max_output_tokens
        self._whole_s = whole_s
        self._dialect = Dialect()
        self._failures = Failures(name, api_url(base_url), key, timeout_s)
        self._client = httpx2.AsyncClient(
            trust_env=not _is_loopback(httpx2.URL(self._url).host),
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=4),
            verify=httpx2.create_ssl_context(),
            follow_redirects=False,
        )

    @property
    def name(self) -> str:
        """The model as the endpoint calls it."""
        return self._name

    def estimate(self, request: ModelRequest) -> int:
        """What is sent, and the longest answer that is allowed."""
        return _tokens(messages_of(request)) + self._max_output_tokens

    async def aclose(self) -> None:
        """Close every connection; answers under way fail. Idempotent."""
        await self._client.aclose()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Progress and text as they come, then the tokens used: as the endpoint counts them, else an estimate.

        An answer that breaks off has its usage, too, before the error. Cancelling or closing closes the connection at
        once, which is what makes an endpoint stop working on the answer.

        Raises:
            ModelError: there is no whole answer.

        """
        messages = messages_of(request)
        asked = _tokens(messages)
        reader = AnswerReader()
        progress = AnswerProgress(self._name, expected_tokens(asked, self._max_output_tokens))
        yield progress.newest
        try:
            async with contextlib.aclosing(self._answer(messages, reader, progress)) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._check_whole(reader, asked)
        except ModelError:
            if reader.tokens or progress.tokens:
                yield ModelUsage(reader.tokens or asked + progress.tokens)
            raise
        yield ModelUsage(reader.tokens or asked + progress.tokens)

    async def _answer(
        self, messages: list[Message], reader: AnswerReader, progress: AnswerProgress
    ) -> AsyncGenerator[ModelChunk, None]:
        """Text and progress up to the end of the stream."""
        with self._explained():
            async with contextlib.aclosing(self._parts(messages)) as parts:
                async for part in parts:
                    for chunk in _chunks(reader.feed(part), progress):
                        yield chunk
                    if reader.done:
                        break
            for chunk in _chunks(reader.end(), progress):
                yield chunk

    def _check_whole(self, reader: AnswerReader, asked: int) -> None:
        """Let only an answer pass that the model ended by itself, and to all that it was asked."""
        if reader.finish_reason != "stop":
            raise self._failures.of_finish(str(reader.finish_reason), self._max_output_tokens)
        read = reader.prompt_tokens or asked
        if asked > _UNREAD_SHARE * read:
            raise self._failures.of_unread(read, asked)

    async def _parts(self, messages: list[Message]) -> AsyncGenerator[bytes, None]:
        """The body of the answer as it comes, all of it in time."""
        deadline = asyncio.get_running_loop().time() + self._whole_s
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout_at(deadline):
                response = await self._open(messages, stack)
            parts = response.aiter_bytes()
            while True:
                async with asyncio.timeout_at(deadline):
                    part = await anext(parts, None)
                if part is None:
                    return
                yield part

    async def _open(self, messages: list[Message], stack: contextlib.AsyncExitStack) -> httpx2.Response:
        """A response that streams, open until ``stack`` is left. A field that the server refuses is sent no more."""
        while True:
            dialect = self._dialect
            body = dialect.body(self._name, messages, self._max_output_tokens)
            response = await stack.enter_async_context(
                self._client.stream("POST", self._url, json=body, headers=self._headers)
            )
            status = response.status_code
            if status == 200 and response.headers.get("content-type", "").lower().startswith(_STREAM):
                return response
            start = await _start_of(response)
            error = read_error(start)
            adapted = dialect.after_refusal(status, error.message if error else "")
            if adapted is None:
                raise self._failures.of_response(status, response.headers, start, self._clock.now())
            self._dialect = adapted

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What fails inside becomes a `ModelError` that tells what to do."""
        try:
            yield
        except httpx2.RequestError as error:
            raise self._failures.of_transport(error) from None
        except TimeoutError:
            raise self._failures.of_overlong(self._whole_s) from None
        except BadStreamError as error:
            raise self._failures.of_stream(str(error)) from None
        except RefusedInStreamError as refused:
            raise self._failures.of_error(refused.error) from None


def _chunks(pieces: Iterable[Piece], progress: AnswerProgress) -> Iterator[ModelChunk]:
    for piece in pieces:
        if piece.text:
            yield ModelText(piece.text)
        if progress.add(piece.text, piece.thought):
            yield progress.newest


async def _start_of(response: httpx2.Response) -> bytes:
    """As much of a body as an error may have."""
    start = b""
    async for part in response.aiter_bytes():
        start += part
        if len(start) >= _ERROR_BYTES:
            break
    return start[:_ERROR_BYTES]


def _tokens(messages: Sequence[Message]) -> int:
    return sum(estimated_tokens(message["content"]) for message in messages)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
