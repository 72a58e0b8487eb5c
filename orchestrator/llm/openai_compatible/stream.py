"""Bytes of a streamed answer -> its pieces, without I/O. https://html.spec.whatwg.org/multipage/server-sent-events.html

Every server of the protocol writes each chunk as JSON on one ``data:`` line, so a line is all that is waited for; the
blank line after it, which not all of them write, means nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.llm.openai_compatible.failures import ProviderError, read_error

MAX_LINE_BYTES = 1_000_000
MAX_STREAM_BYTES = 64_000_000
"""A token takes about 250 bytes on the wire."""
MAX_ANSWER_CHARACTERS = 1_000_000
MOST_TOKENS = 1_000_000_000
"""What a server counts beyond that, it has not counted."""

_DONE = b"[DONE]"
_FIELDS = {b"data", b"error"}
"""``error`` is no field of server-sent events; older releases of llama.cpp tell a failure under it."""


class BadStreamError(ValueError):
    """What came is no whole answer; the text says what was observed and what was expected."""


class RefusedInStreamError(Exception):
    """The provider told of an error within the stream."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(error.message)
        self.error = error


class Piece(msgspec.Struct, frozen=True):
    """The next part of an answer: text, or thoughts that are not part of it."""

    text: str = ""
    thought: str = ""


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class AnswerReader:
    """Takes the bytes of one answer as they come, cut anywhere. However they are cut, the pieces are the same.

    ``finish_reason``, ``tokens`` (of request and answer) and ``prompt_tokens`` (of the request), as the server counts
    them, are None until they have come; ``done`` says that nothing more will.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.tokens: int | None = None
        self.prompt_tokens: int | None = None
        self.done = False
        self._line = bytearray()
        self._ended_with_return = False
        self._bytes = 0
        self._characters = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that ``data`` completes, in order; to be exhausted before the next call.

        Raises:
            BadStreamError: a chunk cannot be read, or there is more than an answer can be.
            RefusedInStreamError: the provider told of an error.

        """
        self._bytes += len(data)
        if self._bytes > MAX_STREAM_BYTES:
            raise BadStreamError(f"it streamed more than {MAX_STREAM_BYTES} bytes")
        for line in self._lines(data):
            if self.done:
                return
            piece = self._read(line)
            if piece is not None:
                yield piece

    def end(self) -> Iterator[Piece]:
        """What the last line held, if that was not ended; then the answer is whole.

        Raises:
            BadStreamError: it is not: the stream was cut.

        """
        yield from self.feed(b"\n")
        if self.finish_reason is None:
            raise BadStreamError("the stream ended before the answer did; expected a finish_reason")

    def _lines(self, data: bytes) -> Iterator[bytes]:
        """Complete lines; ``\\r\\n``, ``\\r`` and ``\\n`` end one, also where ``data`` was cut between the two."""
        if not data:
            return
        if self._ended_with_return:
            data = data.removeprefix(b"\n")
        self._ended_with_return = data.endswith(b"\r")
        *complete, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for part in complete:
            self._lengthen(part)
            line = bytes(self._line)
            self._line.clear()
            yield line
        self._lengthen(rest)

    def _lengthen(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > MAX_LINE_BYTES:
            raise BadStreamError(f"it sent a line of more than {MAX_LINE_BYTES} bytes")

    def _read(self, line: bytes) -> Piece | None:
        field, _, value = line.partition(b":")
        value = value.strip()
        if field not in _FIELDS or not value:
            return None
        if value == _DONE:
            self.done = True
            return None
        try:
            chunk = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BadStreamError("it sent a chunk that is no JSON of a chat completion") from None
        if chunk.error or field == b"error":
            raise RefusedInStreamError(read_error(value) or ProviderError())
        if isinstance(chunk.usage, dict):
            self._take(chunk.usage)
        return self._piece(chunk.choices or ())

    def _take(self, usage: dict[str, Any]) -> None:
        prompt, completion, total = (
            _count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total")
        )
        self.prompt_tokens = prompt or self.prompt_tokens
        self.tokens = total or prompt + completion or self.tokens

    def _piece(self, choices: list[_Choice] | tuple[()]) -> Piece | None:
        choice = next((each for each in choices if each.index == 0), None)
        if choice is None:
            return None
        self.finish_reason = choice.finish_reason or self.finish_reason
        delta = choice.delta or _Delta()
        piece = Piece(delta.content or "", _text(delta.reasoning_content) or _text(delta.reasoning))
        self._characters += len(piece.text)
        if self._characters > MAX_ANSWER_CHARACTERS:
            raise BadStreamError(f"its answer has more than {MAX_ANSWER_CHARACTERS} characters")
        return piece if piece.text or piece.thought else None


def _count(value: object) -> int:
    """A number of tokens that can be one, else 0: nothing was told."""
    return value if type(value) is int and 0 < value <= MOST_TOKENS else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
