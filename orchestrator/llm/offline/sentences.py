"""Text that runs over several lines -> its sentences, each with the line it stands on."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.llm.offline.wording import plain

LONGEST = 4000
"""Characters of the longest text that is looked at as one; a search in a line of megabytes would stop the world."""

_END = re.compile(r"[.!?。！？…][\"'”’)\]*_`]{0,4}(?:\s+|$)|[。！？]")  # noqa: RUF001 - full-width stops end sentences too
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|incl|excl|resp|cf|no|fig|sec)|^\d{1,3}|\b[A-Z])\.$", re.IGNORECASE
)
_WORDS = re.compile(r"\w+")


class Sentence(msgspec.Struct, frozen=True):
    """Plain text on one line, and the number of the line of the document that it is quoted from."""

    text: str
    line: int


def sentences(fragments: Sequence[tuple[int, str]]) -> list[Sentence]:
    """The sentences of text that stands on the given (line number, text) fragments, none empty, none over `LONGEST`.

    A sentence over several lines belongs to the first that has three words of it, so that one can find it there.
    """
    joined = " ".join(text for _, text in fragments)
    starts: list[int] = []
    offset = 0
    for _, text in fragments:
        starts.append(offset)
        offset += len(text) + 1
    found = []
    for begin, end in (part for span in _spans(joined) for part in _parts(joined, *span)):
        text = plain(joined[begin:end])
        if text:
            found.append(Sentence(text, _line_of(joined, begin, end, starts, fragments)))
    return found


def _spans(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 1]
        if following.islower() or _ABBREVIATION.search(text[max(begin, match.start() - 12) : match.start() + 1]):
            continue
        yield begin, match.end()
        begin = match.end()
    if begin < len(text):
        yield begin, len(text)


def _parts(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while end - begin > LONGEST:
        space = text.rfind(" ", begin + 1, begin + LONGEST)
        cut = space if space > 0 else begin + LONGEST
        yield begin, cut
        begin = cut
    yield begin, end


def _line_of(joined: str, begin: int, end: int, starts: list[int], fragments: Sequence[tuple[int, str]]) -> int:
    index = bisect_right(starts, begin) - 1
    with_a_word: int | None = None
    first = fragments[index][0]
    while index < len(starts) and starts[index] < end:
        line_end = starts[index] + len(fragments[index][1])
        words = len(_WORDS.findall(joined, max(begin, starts[index]), min(end, line_end)))
        if words >= 3:
            return fragments[index][0]
        if words and with_a_word is None:
            with_a_word = fragments[index][0]
        index += 1
    return first if with_a_word is None else with_a_word
