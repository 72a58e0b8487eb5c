"""Lines of documents: how they are counted, and where each is shown."""

from __future__ import annotations

from realtime.ports import DocumentInfo


def lines_of(text: str) -> list[str]:
    """The lines of a document as editors and agents number them; a line end at the very end begins no other line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def document_address(document: DocumentInfo) -> str:
    """Where the document begins."""
    return f"/projects/{document.project_id}/documents/{document.id}"


def page_address(document: DocumentInfo, page: int) -> str:
    """Where that page of the document is; pages count from 1."""
    return document_address(document) if page == 1 else f"{document_address(document)}?page={page}"


def line_address(document: DocumentInfo, line: int) -> str:
    """Where that line of the document is, whichever page that is: it depends on how long the lines before it are."""
    return f"{document_address(document)}?line={line}#L{line}"
