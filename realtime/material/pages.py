"""A document page by page, so that a large one is not too much for a browser."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from realtime.material.lines import lines_of, page_address
from realtime.ports import DocumentInfo

LINES_PER_PAGE = 5000
"""More than this, and a browser takes its time."""

CHARACTERS_PER_PAGE = 256 * 1024
"""More than this, and so does the server, which renders a page while everybody else waits."""


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some ``lines`` of a document, the first of which is its line ``first``, of ``total``.

    ``previous`` and ``following`` are the addresses of the pages before and after it, where there are any. ``cut``:
    its only line is longer than a page, and here is the beginning of it.
    """

    lines: tuple[str, ...]
    first: int
    total: int
    previous: str | None
    following: str | None
    cut: bool

    @property
    def last(self) -> int:
        """The number of the last line of the page."""
        return self.first + len(self.lines) - 1


def document_page(
    document: DocumentInfo, content: str, number: int | None = None, *, line: int = 1
) -> DocumentPage | None:
    """The page of that ``number``, from 1, or else the one with that ``line``; None: the document has fewer.

    A line that is there no more is looked for on the last page.
    """
    lines = lines_of(content)
    starts = [*_starts(lines)]
    number = bisect_right(starts, line - 1) if number is None else number
    if not 1 <= number <= len(starts):
        return None
    shown = lines[starts[number - 1] : starts[number] if number < len(starts) else None]
    return DocumentPage(
        lines=tuple(text[:CHARACTERS_PER_PAGE] for text in shown),
        first=starts[number - 1] + 1,
        total=len(lines),
        previous=page_address(document, number - 1) if number > 1 else None,
        following=page_address(document, number + 1) if number < len(starts) else None,
        cut=len(shown[0]) > CHARACTERS_PER_PAGE,
    )


def _starts(lines: Sequence[str]) -> Iterator[int]:
    """The index of the first line of each page; a page has one line at least."""
    start = characters = 0
    yield start
    for index, line in enumerate(lines):
        characters += len(line)
        if index > start and (index == start + LINES_PER_PAGE or characters > CHARACTERS_PER_PAGE):
            start, characters = index, len(line)
            yield start
