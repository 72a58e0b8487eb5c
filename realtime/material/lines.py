"""Lines of documents: how they are counted, and where each is shown."""

from __future__ import annotations

import re

from realtime.ports import DocumentInfo

LINES_PER_PAGE = 5000
"""More than this, and a browser takes its time."""

_LINE_END = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> list[str]:
    """The lines of a document as editors and agents number them; a line end at the very end begins no other line."""
    lines = _LINE_END.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def page_of(line: int) -> int:
    """The page that has that line; both count from 1."""
    return (line - 1) // LINES_PER_PAGE + 1


def page_address(document: DocumentInfo, page: int) -> str:
    """Where that page of the document is."""
    address = f"/projects/{document.project_id}/documents/{document.id}"
    return address if page == 1 else f"{address}?page={page}"


def line_address(document: DocumentInfo, line: int) -> str:
    """Where that line of the document is."""
    return f"{page_address(document, page_of(line))}#L{line}"
