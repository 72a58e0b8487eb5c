"""``path:line`` in what agents write, turned into links to that line of the project's documents."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from html import escape, unescape
from itertools import islice
from typing import NamedTuple

from markupsafe import Markup

from realtime.material.lines import line_address, lines_of
from realtime.ports import DocumentInfo

LONGEST_TITLE = 300

MOST_LINES = 5000
"""In one text, so many of what looks like the number of a line are looked into; those after them stay text."""

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
    """The documents of a project that a text may name. A path is known as agents quote it, with single spaces."""

    def __init__(self, documents: Iterable[DocumentInfo]) -> None:
        self._documents = {" ".join(document.path.split())[::-1]: document for document in documents}
        self._reversed = sorted(self._documents)
        self._longest = max(map(len, self._reversed), default=0)
        self._beginnings = dict(_longest_beginnings(self._reversed))
        self._lines: Mapping[str, Sequence[str]] = {}

    def titled(self, texts: Mapping[str, str]) -> Sources:
        """The same documents; a link has the line it leads to as title where ``texts`` has the document, by path."""
        made = copy(self)
        made._lines = {path: lines_of(text) for path, text in texts.items()}
        return made

    def named_in(self, text: str) -> list[DocumentInfo]:
        """The documents of which ``text`` names lines, in the order in which they first appear."""
        references = self._references(text, _lines_in(text, MOST_LINES))
        return list({reference.document.id: reference.document for reference in references}.values())

    def linked(self, rendered: Markup) -> Markup:
        """The same HTML with a link round each ``path:line`` in its text; what is a link already stays as it is.

        ``rendered`` is HTML made here, in which every ``<`` and ``>`` that is no tag's is escaped.
        """
        pieces: list[str] = []
        inside_link = False
        left = MOST_LINES
        for match in _TAG_OR_TEXT.finditer(rendered):
            piece = match.group()
            if piece.startswith("<"):
                inside_link = piece.startswith("<a ") or (inside_link and piece != "</a>")
            elif not inside_link and ":" in piece:
                text = unescape(piece)
                lines = _lines_in(text, left)
                left -= len(lines)
                piece = self._linked_text(text, self._references(text, lines))
            pieces.append(piece)
        return Markup("".join(pieces))  # noqa: S704  # tags that were there, text that is escaped, and links

    def _linked_text(self, text: str, references: Iterable[Reference]) -> str:
        pieces: list[str] = []
        position = 0
        for reference in references:
            pieces.append(escape(text[position : reference.start]))
            pieces.append(self._link(reference, text[reference.start : reference.end]))
            position = reference.end
        pieces.append(escape(text[position:]))
        return "".join(pieces)

    def _link(self, reference: Reference, text: str) -> str:
        address = escape(line_address(reference.document, reference.line))
        said = self._line_at(reference)[:LONGEST_TITLE]
        title = f' title="{escape(said)}"' if said else ""
        return f'<a class="source" href="{address}"{title}>{escape(text).replace("/", "/<wbr>")}</a>'

    def _line_at(self, reference: Reference) -> str:
        """The line, without the white space round it; empty where it is not known or there is nothing in it."""
        lines = self._lines.get(reference.document.path, ())
        return lines[reference.line - 1].strip() if reference.line <= len(lines) else ""

    def _references(self, text: str, lines: Sequence[re.Match[str]]) -> list[Reference]:
        """From the end on, because a path may end in what looks like a line."""
        return list(self._references_backwards(text, lines))[::-1]

    def _references_backwards(self, text: str, lines: Sequence[re.Match[str]]) -> Iterator[Reference]:
        limit = len(text)
        for match in reversed(lines):
            document_and_start = self._path_before(text, match.start()) if match.end() <= limit else None
            if document_and_start is not None:
                document, limit = document_and_start
                yield Reference(limit, match.end(), document, int(match.group(1)))

    def _path_before(self, text: str, end: int) -> tuple[DocumentInfo, int] | None:
        """The document with the longest path that ends there, and where that path starts.

        Backwards, every path that ends there begins the text, and so the nearest before the text in the order of all
        paths: no other needs a look.
        """
        before = text[max(0, end - self._longest) : end][::-1]
        place = bisect_right(self._reversed, before)
        path = self._reversed[place - 1] if place else None
        alike = _alike(path or "", before)
        while path is not None:
            start = end - len(path)
            if len(path) <= alike and not _PART_OF_A_PATH.match(text[start - 1 : start] if start else ""):
                return self._documents[path], start
            path = self._beginnings[path]
        return None


def _lines_in(text: str, most: int) -> list[re.Match[str]]:
    return list(islice(_LINE.finditer(text), most))


def _alike(one: str, other: str) -> int:
    """So many characters at the beginning of both are the same."""
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _longest_beginnings(in_order: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Each of them with the longest other that it begins with."""
    begun: list[str] = []
    for path in in_order:
        while begun and not path.startswith(begun[-1]):
            begun.pop()
        yield path, begun[-1] if begun else None
        begun.append(path)
