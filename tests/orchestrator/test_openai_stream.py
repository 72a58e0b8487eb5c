"""Reading a streamed answer: bytes, however they are cut, to the pieces of an answer that is whole or refused."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_server import DONE, delta, event, usage

from orchestrator.llm.openai_compatible import stream as limits
from orchestrator.llm.openai_compatible.stream import AnswerReader, BadStreamError, Piece, RefusedInStreamError

STOP = delta(finish_reason="stop")
SOUND = b"".join(
    [
        b": keep-alive\n\n",
        delta(role="assistant"),
        delta(reasoning_content="Hm, 😀"),
        b"event: ping\r\nid: 3\r\n\r\n",
        delta("# Täßt\n"),
        delta("a: b\r\n|x|").replace(b"\n\n", b"\r\n\r\n"),
        delta("end").replace(b"\n\n", b"\r\r"),
        STOP,
        usage(),
        DONE,
    ]
)
FAULTY = [
    SOUND,
    SOUND.replace(STOP, b""),
    SOUND.replace(STOP, b'data: {"choices": [{"del\n\n'),
    SOUND.replace(STOP, event({"error": {"message": "out of memory", "code": 503}})),
]


def read(parts: list[bytes]) -> tuple[list[Piece], AnswerReader, str | None]:
    """The pieces, those before a failure as well, the reader after them, and how it failed."""
    reader, pieces = AnswerReader(), list[Piece]()
    try:
        for part in parts:
            pieces.extend(reader.feed(part))
        pieces.extend(reader.end())
    except (BadStreamError, RefusedInStreamError) as error:
        return pieces, reader, str(error)
    return pieces, reader, None


def test_sound_stream_text_thoughts_usage_and_end() -> None:
    """Text and thoughts come apart and in order; comments, pings and roles are none; usage is the server's total."""
    pieces, reader, failure = read([SOUND])
    assert failure is None
    assert "".join(piece.text for piece in pieces) == "# Täßt\na: b\r\n|x|end"
    assert "".join(piece.thought for piece in pieces) == "Hm, 😀"
    assert (reader.finish_reason, reader.tokens, reader.done) == ("stop", 333, True)


@given(st.sampled_from(FAULTY), st.lists(st.integers(0, len(SOUND)), max_size=30))
def test_stream_cut_anywhere_same_pieces_and_same_end(body: bytes, cuts: list[int]) -> None:
    """Wherever the network cuts the bytes, within a character or a line end too, nothing about the answer changes."""
    whole = read([body])
    parts = [body[start:end] for start, end in pairwise([0, *sorted(cuts), len(body)])]
    pieces, reader, failure = read(parts)
    assert (pieces, failure) == (whole[0], whole[2])
    assert (reader.finish_reason, reader.tokens, reader.done) == (
        whole[1].finish_reason, whole[1].tokens, whole[1].done,
    )  # fmt: skip


@given(st.integers(0, SOUND.index(STOP) + len(STOP.rstrip()) - 1))
def test_stream_ended_early_is_never_a_short_answer(length: int) -> None:
    """Whatever is missing before the end of the text, the answer is refused and not taken for a shorter one."""
    *_, failure = read([SOUND[:length]])
    assert failure is not None


def test_stream_without_done_after_finish_reason_is_whole() -> None:
    """Not every server says [DONE]; that the model has finished is said by the finish_reason."""
    pieces, reader, failure = read([delta("a"), STOP])
    assert (pieces, failure, reader.done) == ([Piece("a")], None, False)


def test_stream_with_done_alone_is_refused() -> None:
    """[DONE] without a finish_reason is what a proxy says whose server was cut off."""
    *_, failure = read([delta("a"), DONE])
    assert failure is not None
    assert "finish_reason" in failure


def test_last_line_without_line_end_is_read() -> None:
    """A body that ends with its last byte of JSON is whole."""
    pieces, *_, failure = read([delta("a", finish_reason="stop").rstrip()])
    assert (pieces, failure) == ([Piece("a")], None)


def test_nothing_is_read_after_done() -> None:
    """What comes after the end is not part of the answer."""
    pieces, *_, failure = read([delta("a"), STOP, DONE, delta("b"), b"data: {broken\n\n"])
    assert (pieces, failure) == ([Piece("a")], None)


@pytest.mark.parametrize(
    "chunk",
    [
        b'data: {"choices": [{"delta": {"content": "cut\n\n',
        b"data: hello\n\n",
        b"data: [1]\n\n",
        b'data: {"choices": [{"delta": {"content": 7}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n',
    ],
)
def test_malformed_chunk_refused(chunk: bytes) -> None:
    """JSON that is cut, of another shape, or no Unicode spoils the whole answer."""
    *_, failure = read([delta("a"), chunk, STOP, DONE])
    assert failure == "it sent a chunk that is no JSON of a chat completion"


@pytest.mark.parametrize(
    ("line", "said", "status"),
    [
        (event({"error": {"message": "overloaded", "type": "server_error", "code": 503}}), "overloaded", 503),
        (event({"error": "out of memory"}), "out of memory", None),
        (b'error: {"code": 500, "message": "slot unavailable", "type": "server_error"}\n\n', "slot unavailable", 500),
        (event({"error": {"odd": True}}), "", None),
    ],
)
def test_error_within_the_stream_told_with_its_words_and_status(line: bytes, said: str, status: int | None) -> None:
    """A provider that fails half-way says so in the stream, each in its shape; nothing after it counts."""
    reader = AnswerReader()
    with pytest.raises(RefusedInStreamError) as refused:
        list(reader.feed(delta("a") + line + STOP))
    assert (refused.value.error.message, refused.value.error.status) == (said, status)


@pytest.mark.parametrize(
    ("counts", "prompt_tokens", "tokens"),
    [
        ({"total_tokens": 5}, None, 5),
        ({"prompt_tokens": 3, "completion_tokens": 4}, 3, 7),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 8}, 3, 8),
        ({"prompt_tokens": 3}, 3, 3),
        ({"total_tokens": 0}, None, None),
        ({"total_tokens": "many"}, None, None),
        ({"total_tokens": -5}, None, None),
        ({"prompt_tokens": 3, "completion_tokens": True}, 3, 3),
        ({"prompt_tokens": 3, "total_tokens": 2**64 - 1}, 3, 3),
        (None, None, None),
        ([5], None, None),
    ],
)
def test_usage_in_any_shape_total_or_nothing(counts: object, prompt_tokens: int | None, tokens: int | None) -> None:
    """The total is taken, or added up; what says nothing usable is no reason to refuse an answer."""
    body = delta("a") + STOP + b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n" + DONE
    _, reader, failure = read([body])
    assert (reader.prompt_tokens, reader.tokens, failure) == (prompt_tokens, tokens, None)


def test_chunk_nested_beyond_reading_is_no_whole_answer() -> None:
    """A chunk that is a hundred thousand brackets is refused like any other that cannot be read."""
    deep = b'data: {"usage": ' + 100_000 * b"[" + 100_000 * b"]" + b"}\n\n"
    _, _, failure = read([delta("a"), deep, STOP, DONE])
    assert failure == "it sent a chunk that is no JSON of a chat completion"


def test_newest_usage_counts() -> None:
    """Servers that count on with every chunk are believed in the end."""
    _, reader, _ = read([delta("a"), usage(total_tokens=5), delta("b"), usage(total_tokens=6), STOP, DONE])
    assert reader.tokens == 6


def test_other_choices_are_not_read() -> None:
    """Only the first choice is the answer."""
    other = event({"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}]})
    pieces, _, failure = read([other, delta("a")])
    assert pieces == [Piece("a")]
    assert failure is not None


def test_endless_line_refused_before_it_is_kept() -> None:
    """A line without an end is given up at its limit, in whatever parts it comes."""
    reader = AnswerReader()
    with pytest.raises(BadStreamError, match="line of more than"):
        for _ in range(limits.MAX_LINE_BYTES // 1000 + 2):
            list(reader.feed(b"x" * 1000))


def test_endless_answer_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond what an artifact can be is given up, and so is a stream that says nothing for ever."""
    monkeypatch.setattr(limits, "MAX_ANSWER_CHARACTERS", 1000)
    *_, failure = read([delta("x" * 600), delta("y" * 600), STOP])
    assert failure == "its answer has more than 1000 characters"
    monkeypatch.setattr(limits, "MAX_STREAM_BYTES", 1000)
    *_, failure = read([b": still here\n\n"] * 100)
    assert failure == "it streamed more than 1000 bytes"
