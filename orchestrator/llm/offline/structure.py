"""A document -> its units: headings, list items, table rows, sentences, code blocks, each with line and place.

It reads Markdown the way people write it rather than the whole of CommonMark: what is not understood is prose, and
only fenced and indented code, comments and front matter are kept apart.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from orchestrator.llm.offline.sentences import LONGEST, Sentence, sentences
from orchestrator.llm.offline.signals import step_of
from orchestrator.llm.offline.wording import lines_of, plain

_FENCE = re.compile(r"^[\s>]{0,20}(`{3,}|~{3,})\s*([^`]*)$")
_QUOTE = re.compile(r"^\s{0,3}(?:>\s?){1,10}")
_ITEM = re.compile(r"^(\s*)(?:[-*+•–]|\d{1,9}[.)]|[A-Za-z]\))\s+(?=\S)")  # noqa: RUF001 - people do write en-dash lists
_CHECKBOX = re.compile(r"^\[[ xX]\]\s+")
_SETEXT = re.compile(r"^\s{0,3}(=+|-+)\s*$")
_BREAK = re.compile(r"^\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$")
_DELIMITER_CELL = re.compile(r":?-+:?")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_DEFINITION = re.compile(r"^\s{0,3}\[[^\[\]]{1,200}\]:\s")
_FEATURE = re.compile(r"^\s*(?:Feature|Rule):\s*(?=\S)")
_GHERKIN_TITLE = re.compile(r"^(?:Feature|Rule|Background|Scenario(?: Outline| Template)?|Examples?|Scenarios):")
_NUMBERED_TITLE = re.compile(r"^\d{1,3}(?:\.\d{1,3})*\.?\s+[^\W\d_]")
GHERKIN = frozenset({"gherkin", "cucumber", "feature"})


class UnitKind(Enum):
    """What a unit was in its document."""

    HEADING = auto()
    ITEM = auto()
    ROW = auto()
    SENTENCE = auto()
    CODE = auto()


class Heading(msgspec.Struct, frozen=True):
    """A heading: its level from 1, plain title and line."""

    level: int
    title: str
    line: int


class Unit(msgspec.Struct, frozen=True):
    """One thing that a document says. ``text`` is plain and on one line, except that of code.

    ``trail`` holds the headings above, outermost first; a heading unit is the last of its own trail. ``depth`` is the
    indentation of a list item, -1 outside lists. ``parts`` are the sentences of an item, ``cells`` the (column title,
    text) of a table row, ``language`` the info string of a code block.
    """

    kind: UnitKind
    text: str
    line: int
    trail: tuple[Heading, ...]
    depth: int = -1
    parts: tuple[Sentence, ...] = ()
    cells: tuple[tuple[str, str], ...] = ()
    language: str = ""


def units_of(path: str, text: str) -> list[Unit]:
    """The units of a document, in the order of their lines."""
    name = path.lower()
    if name.endswith(".feature"):
        return _Reader(markdown=False).read(_without_gherkin_marks(lines_of(text)))
    return _Reader(markdown=not name.endswith((".txt", ".text"))).read(lines_of(text))


def gherkin_units(unit: Unit) -> list[Unit]:
    """The units of a code block that is Gherkin, under the headings the block stands under."""
    reader = _Reader(markdown=False, trail=unit.trail, first_line=unit.line + 1)
    return reader.read(_without_gherkin_marks(unit.text.split("\n")))


def _without_gherkin_marks(lines: list[str]) -> list[str]:
    return ["" if line.lstrip().startswith(("#", "@")) else line.strip() for line in lines]


class _Reader:
    def __init__(self, *, markdown: bool, trail: tuple[Heading, ...] = (), first_line: int = 1) -> None:
        self._markdown = markdown
        self._trail = list(trail)
        self._first_line = first_line
        self._units: list[Unit] = []
        self._pending: list[tuple[int, str]] = []
        self._depth = -1
        self._in_item = False
        self._columns: list[str] | None = None
        self._unclosed: dict[str, int] = {}

    def read(self, lines: list[str]) -> list[Unit]:
        index = self._after_front_matter(lines)
        while index < len(lines):
            index = self._take(lines, index)
        self._flush()
        return self._units

    def _after_front_matter(self, lines: list[str]) -> int:
        if self._markdown and lines[0].rstrip() == "---":
            for index in range(1, min(len(lines), 100)):
                if lines[index].rstrip() in {"---", "..."}:
                    return index + 1
                if lines[index].strip() and ":" not in lines[index] and not lines[index].startswith((" ", "-", "#")):
                    break
        return 0

    def _take(self, lines: list[str], index: int) -> int:
        raw = lines[index]
        for block in (self._fenced, self._commented, self._indented_code):
            after = block(lines, index)
            if after is not None:
                return after
        line = _QUOTE.sub("", raw) if self._markdown else raw
        number = index + self._first_line
        blank_follows = index + 1 >= len(lines) or not lines[index + 1].strip()
        if not line.strip():
            self._flush()
            self._columns = None
        elif not (self._heading(line, number, blank_follows) or self._table(line, number)):
            self._item_or_text(line, number)
        return index + 1

    def _fenced(self, lines: list[str], index: int) -> int | None:
        opening = _FENCE.match(lines[index])
        if opening is None or len(opening.group(1)) >= self._unclosed.get(opening.group(1)[0], len(lines[index]) + 1):
            return None
        mark = opening.group(1)
        for end in range(index + 1, len(lines)):
            closing = _FENCE.match(lines[end])
            if closing and closing.group(1).startswith(mark) and not closing.group(2).strip():
                self._flush()
                language = (opening.group(2).split() or [""])[0].lower()
                self._add(
                    UnitKind.CODE, "\n".join(lines[index + 1 : end]), index + self._first_line, language=language
                )
                return end + 1
        self._unclosed[mark[0]] = len(mark)  # nothing closes it: what follows is read as text rather than lost
        return None

    def _commented(self, lines: list[str], index: int) -> int | None:
        if not (self._markdown and lines[index].lstrip().startswith("<!--")) or "<!--" in self._unclosed:
            return None
        for end in range(index, len(lines)):
            if "-->" in lines[end]:
                self._flush()
                lines[end] = lines[end].partition("-->")[2]
                return end if lines[end].strip() else end + 1
        self._unclosed["<!--"] = 0
        return None

    def _indented_code(self, lines: list[str], index: int) -> int | None:
        if not self._markdown or self._pending or self._in_item or not lines[index].startswith(("    ", "\t")):
            return None
        return index + 1

    def _heading(self, line: str, number: int, blank_follows: bool) -> bool:
        if len(line) > LONGEST:
            return False
        stripped = line.strip()
        marks = len(stripped) - len(stripped.lstrip("#"))
        if 1 <= marks <= 6 and stripped[marks : marks + 1] in {"", " ", "\t"} and not line.startswith("    "):
            self._flush()
            return self._add_heading(marks, stripped[marks:].rstrip("#"), number)
        if _SETEXT.match(line) and self._may_be_title():
            title_line, title = self._pending.pop()
            return self._add_heading(1 if "=" in line else 2, title, title_line)
        if not self._markdown and self._plain_heading(line, number, blank_follows):
            return True
        if _BREAK.match(line):
            self._flush()
            return True
        return False

    def _may_be_title(self) -> bool:
        return len(self._pending) == 1 and not self._in_item and len(self._pending[0][1]) <= LONGEST

    def _plain_heading(self, line: str, number: int, blank_follows: bool) -> bool:
        if _FEATURE.match(line):
            self._flush()
            return self._add_heading(7, _FEATURE.sub("", line), number)
        title = line.strip()
        if blank_follows and not self._pending and self._looks_like_title(title):
            return self._add_heading(2, title.rstrip(":"), number)
        return False

    def _looks_like_title(self, line: str) -> bool:
        if len(line) > 80 or line[-1] in ".!?;," or step_of(line):
            return False
        return (line.isupper() and len(line) > 3) or _NUMBERED_TITLE.match(line) is not None

    def _add_heading(self, level: int, title: str, number: int) -> bool:
        self._in_item, self._columns = False, None
        while self._trail and self._trail[-1].level >= level:
            self._trail.pop()
        text = plain(title)
        if text:
            self._trail.append(Heading(level, text, number))
            self._add(UnitKind.HEADING, text, number)
        return True

    def _table(self, line: str, number: int) -> bool:
        if "|" not in line or len(line) > LONGEST:
            self._columns = None
            return False
        cells = _cells(line)
        if self._columns is not None:
            self._add_row(cells, number)
            return True
        if self._pending and "|" in self._pending[-1][1] and all(_DELIMITER_CELL.fullmatch(cell) for cell in cells):
            header = self._pending.pop()[1]
            self._flush()
            self._columns = [plain(cell) for cell in _cells(header)]
            return True
        return False

    def _add_row(self, cells: list[str], number: int) -> None:
        columns = self._columns or []
        titles = columns + [""] * (len(cells) - len(columns))
        texts = [plain(cell.replace("\\|", "|")) for cell in cells]
        if any(texts):
            pairs = tuple(zip(titles, texts, strict=False))
            self._add(UnitKind.ROW, " · ".join(text for text in texts if text), number, cells=pairs)

    def _item_or_text(self, line: str, number: int) -> None:
        match = _ITEM.match(line)
        if match:
            self._flush()
            self._in_item = True
            self._depth = len(match.group(1).expandtabs(4))
            self._pending.append((number, _CHECKBOX.sub("", line[match.end() :])))
            return
        if not line[0].isspace() and not self._pending:
            self._in_item = False
        if self._pending and self._begins_anew(line.strip()):
            self._flush()
        self._pending.append((number, line.strip()))

    def _begins_anew(self, line: str) -> bool:
        if _GHERKIN_TITLE.match(line) or _GHERKIN_TITLE.match(self._pending[-1][1]):
            return True
        if self._markdown and _DEFINITION.match(line):
            return True
        before = self._pending[-1][1]
        return step_of(line) is not None and (
            step_of(self._pending[0][1]) is not None or before[-1:] in set(".!?:,;")
        )

    def _flush(self) -> None:
        if not self._pending:
            return
        fragments, self._pending = self._pending, []
        if self._markdown and _DEFINITION.match(fragments[0][1]):
            return
        parts = tuple(sentences(fragments))
        if parts and self._in_item and sum(len(part.text) for part in parts) <= LONGEST:
            text = " ".join(part.text for part in parts)
            self._add(UnitKind.ITEM, text, parts[0].line, depth=self._depth, parts=parts)
            return
        for part in parts:
            self._add(UnitKind.SENTENCE, part.text, part.line, parts=(part,))

    def _add(
        self,
        kind: UnitKind,
        text: str,
        line: int,
        *,
        depth: int = -1,
        parts: tuple[Sentence, ...] = (),
        cells: tuple[tuple[str, str], ...] = (),
        language: str = "",
    ) -> None:
        self._units.append(Unit(kind, text, line, tuple(self._trail), depth, parts, cells, language))


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip() for cell in _CELL_BORDER.split(inner)]
