"""``path:line`` in what agents write, turned into links to that line of the project's documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape, unescape
from typing import NamedTuple

from markupsafe import Markup

from realtime.material.lines import line_address, lines_of
from realtime.ports import DocumentInfo

LONGEST_TITLE = 300

_LINE = re.compile(r":([1-9][0-9]{0,6})(?!\w)")
_TAG_OR_TEXT = re.compile(r"<[^>]*>|[^<]+")
_PART_OF_A_PATH = re.compile(r"[\w./\\-]")


class Reference(NamedTuple):
    """A place in a text, from ``start`` to ``end``, that names a line of a document."""

    start: int
    end: int
    document: DocumentInfo
    line: int


class Sources:
    """The documents of a project that a text may name.

    A path is known as agents quote it, with single spaces. ``texts``: the contents of those whose lines are shown as
    the titles of links, by path; the links of others have none.
    """

    def __init__(self, documents: Iterable[DocumentInfo], texts: Mapping[str, str] | None = None) -> None:
        self._documents = {" ".join(document.path.split()): document for document in documents}
        self._lengths = sorted({len(path) for path in self._documents}, reverse=True)
        self._lines = {path: lines_of(text) for path, text in (texts or {}).items()}

    def named_in(self, text: str) -> list[DocumentInfo]:
        """The documents of which ``text`` names lines, in the order in which they first appear."""
        return list({reference.document.id: reference.document for reference in self._references(text)}.values())

    def linked(self, rendered: Markup) -> Markup:
        """The same HTML with a link round each ``path:line`` in its text; what is a link already stays as it is.

        ``rendered`` is HTML made here, in which every ``<`` and ``>`` that is no tag's is escaped.
        """
        pieces: list[str] = []
        inside_link = False
        for match in _TAG_OR_TEXT.finditer(rendered):
            piece = match.group()
            if piece.startswith("<"):
                inside_link = piece.startswith("<a ") or (inside_link and piece != "</a>")
            elif not inside_link and ":" in piece:
                piece = self._linked_text(unescape(piece))
            pieces.append(piece)
        return Markup("".join(pieces))  # noqa: S704  # tags that were there, text that is escaped, and links

    def _linked_text(self, text: str) -> str:
        pieces: list[str] = []
        position = 0
        for reference in self._references(text):
            pieces.append(escape(text[position : reference.start]))
            pieces.append(self._link(reference, text[reference.start : reference.end]))
            position = reference.end
        pieces.append(escape(text[position:]))
        return "".join(pieces)

    def _link(self, reference: Reference, text: str) -> str:
        address = escape(line_address(reference.document, reference.line))
        said = self._line_at(reference)[:LONGEST_TITLE]
        title = f' title="{escape(said)}"' if said else ""
        return f'<a class="source" href="{address}"{title}>{escape(text)}</a>'

    def _line_at(self, reference: Reference) -> str:
        """The line, without the white space round it; empty where it is not known or there is nothing in it."""
        lines: Sequence[str] = self._lines.get(reference.document.path, ())
        return lines[reference.line - 1].strip() if reference.line <= len(lines) else ""

    def _references(self, text: str) -> list[Reference]:
        """From the end on, because a path may end in what looks like a line."""
        return list(self._references_backwards(text))[::-1]

    def _references_backwards(self, text: str) -> Iterator[Reference]:
        limit = len(text)
        for match in reversed(list(_LINE.finditer(text))):
            document_and_start = self._path_before(text, match.start()) if match.end() <= limit else None
            if document_and_start is not None:
                document, limit = document_and_start
                yield Reference(limit, match.end(), document, int(match.group(1)))

    def _path_before(self, text: str, end: int) -> tuple[DocumentInfo, int] | None:
        """The document with the longest path that ends there, and where that path starts."""
        for length in self._lengths:
            start = end - length
            document = self._documents.get(text[start:end]) if start >= 0 else None
            if document is not None and not _PART_OF_A_PATH.match(text[start - 1 : start] if start else ""):
                return document, start
        return None
