"""A document page by page, so that a large one is not too much for a browser."""

from __future__ import annotations

import msgspec

from realtime.material.lines import LINES_PER_PAGE, lines_of, page_address, page_of
from realtime.ports import DocumentInfo


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some ``lines`` of a document, the first of which is its line ``first``, of ``total``.

    ``previous`` and ``following`` are the addresses of the pages before and after it, where there are any.
    """

    lines: tuple[str, ...]
    first: int
    total: int
    previous: str | None
    following: str | None

    @property
    def last(self) -> int:
        """The number of the last line of the page."""
        return self.first + len(self.lines) - 1


def document_page(document: DocumentInfo, content: str, number: int) -> DocumentPage | None:
    """The page of that ``number``, from 1; None: the document has fewer."""
    lines = lines_of(content)
    before = (number - 1) * LINES_PER_PAGE
    if not 0 <= before < len(lines):
        return None
    return DocumentPage(
        lines=tuple(lines[before : before + LINES_PER_PAGE]),
        first=before + 1,
        total=len(lines),
        previous=page_address(document, number - 1) if number > 1 else None,
        following=page_address(document, number + 1) if number < page_of(len(lines)) else None,
    )
