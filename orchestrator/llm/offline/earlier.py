"""Artifacts of the agents before -> what the next one works from: rows of a matrix, scenarios in Gherkin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from orchestrator.llm.offline.coverage import Idea, idea_from
from orchestrator.llm.offline.findings import Feature, Finding, Findings, Kind, Source, Step
from orchestrator.llm.offline.scenarios import Scenario, unique_names
from orchestrator.llm.offline.signals import Priority, mentioned_ids, priority_word
from orchestrator.llm.offline.structure import GHERKIN, Unit, UnitKind, units_of
from orchestrator.llm.offline.wording import lines_of, one_line
from orchestrator.records import Artifact, Document

NOWHERE = Source("", 0)
"""The source of what an earlier artifact says without naming a line."""

_SOURCE = re.compile(r"^#\s*Source:\s*(.+?):(\d{1,9})(?: — (.*))?$")
_TITLE = re.compile(r"^(Feature|Rule|Scenario Outline|Scenario Template|Scenario|Example):\s*(.*)$")
_STEP = re.compile(r"^(Given|When|Then|And|But|\*)\s+(.*)$")


class Row(msgspec.Struct, frozen=True):
    """A row of a coverage matrix: the finding it is about, and what it says is not covered yet."""

    finding: Finding
    gap: str


class Lines:
    """The lines of documents, for references to point to. A reference is ``path:line``, the path on one line."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._counts = {one_line(each.path): (each.path, len(lines_of(each.text))) for each in documents}
        paths = "|".join(re.escape(path) for path in sorted(self._counts, key=len, reverse=True))
        self._reference = re.compile(rf"(?<![\w./-])({paths}):(\d{{1,9}})(?!\d)") if paths else None

    def sources(self, text: str) -> Iterator[Source]:
        """Every line of a document that the text refers to, in order."""
        for path, number in self._reference.findall(text) if self._reference else ():
            source = self.source(path, number)
            if source:
                yield source

    def source(self, path: str, number: str) -> Source | None:
        """That line, if there is one."""
        known = self._counts.get(path.strip())
        return Source(known[0], int(number)) if known and 1 <= int(number) <= known[1] else None


def matrix_rows(artifact: Artifact, findings: Findings, lines: Lines) -> tuple[list[Row], list[str]]:
    """The rows of a coverage matrix, each once, and the text of those that trace to no line of a document.

    A row is any row of a Markdown table with the columns ``ID`` and ``Source``. It stands for the finding of that id
    and line, else for what its own words say of that line.
    """
    known = {(finding.id, finding.source): finding for finding in findings.found}
    rows: dict[str, Row] = {}
    untraced: list[str] = []
    for unit in units_of("matrix.md", artifact.content):
        cells = {title.casefold(): cell for title, cell in unit.cells}
        if unit.kind is not UnitKind.ROW or not {"id", "source"} <= cells.keys():
            continue
        source = next(lines.sources(cells["source"]), None)
        if source is None:
            untraced.append(unit.text)
            continue
        finding = known.get((cells["id"], source)) or _finding(unit, cells, source)
        gap = cells.get("not covered yet", "")
        rows.setdefault(cells["id"], Row(finding, "" if gap in {"", "—", "-"} else gap))
    return list(rows.values()), untraced


def _finding(unit: Unit, cells: Mapping[str, str], source: Source) -> Finding:
    text = cells.get("requirement") or cells.get("criterion") or unit.text
    is_idea = "criterion" in cells and "requirement" not in cells
    return Finding(
        kind=Kind.CRITERION if is_idea else Kind.REQUIREMENT,
        text=text,
        source=source,
        feature=Feature(cells.get("section") or one_line(source.path), source),
        id=cells["id"],
        priority=priority_word(cells.get("priority", "")) or Priority.MUST,
        mentions=mentioned_ids(cells.get("covers", "")),
    )


def scenarios_in(artifact: Artifact, lines: Lines) -> list[Scenario]:
    """Every scenario in the Gherkin blocks of an artifact, in order, under names of their own.

    A ``# Source: path:line`` comment says where what follows comes from; without one, a reference in the name does.
    """
    found: list[Scenario] = []
    for unit in units_of("scenarios.md", artifact.content):
        if unit.kind is UnitKind.CODE and (unit.language in GHERKIN or unit.text.lstrip().startswith("Feature:")):
            found.extend(_Block(lines, artifact.title).read(unit.text))
    return unique_names(found)


class _Block:
    def __init__(self, lines: Lines, title: str) -> None:
        self._lines = lines
        self._feature = Feature(title, NOWHERE)
        self._noted: tuple[Source | None, str] = None, ""  # by the comment before what comes next
        self._source: Source | None = None
        self._tags: tuple[str, ...] = ()
        self._background: list[Step] = []
        self._current = self._background
        self._open: tuple[str, Source | None, str, tuple[str, ...]] | None = None
        self._done: list[Scenario] = []

    def read(self, text: str) -> list[Scenario]:
        for raw in text.split("\n"):
            self._take(raw.strip())
        self._close()
        return self._done

    def _take(self, line: str) -> None:
        comment, title, step = _SOURCE.match(line), _TITLE.match(line), _STEP.match(line)
        if comment:
            self._noted = self._lines.source(comment.group(1), comment.group(2)), comment.group(3) or ""
        elif line.startswith("@"):
            self._tags = tuple(word[1:] for word in line.split() if word.startswith("@"))
        elif title:
            self._begin(title.group(1), title.group(2))
        elif step:
            self._source = self._noted[0] or self._source
            self._noted = None, ""
            self._current.append(Step(step.group(1), step.group(2), self._source or NOWHERE))

    def _begin(self, keyword: str, name: str) -> None:
        self._close()
        where, quote = self._noted
        self._noted = None, ""
        if keyword in {"Feature", "Rule"}:
            self._feature = Feature(name, where or NOWHERE)
            self._source, self._background = None, []
            self._current = self._background
            return
        self._source = where or next(self._lines.sources(name), None)
        self._open = name, self._source, quote, self._tags
        self._tags, self._current = (), []

    def _close(self) -> None:
        if self._open is None:
            return
        name, source, quote, tags = self._open
        steps = (*self._background, *self._current)
        self._done.append(
            Scenario(name=name, feature=self._feature, steps=steps, source=source, quote=quote, tags=tags)
        )
        self._open = None


def ideas_in(artifact: Artifact, lines: Lines) -> list[Idea]:
    """The scenarios in an artifact as test ideas: they cover the lines they come from."""
    ideas = []
    for scenario in scenarios_in(artifact, lines):
        sources = [step.source for step in scenario.steps if step.source != NOWHERE]
        said = " ".join((*scenario.tags, *(step.text for step in scenario.steps)))
        ideas.append(idea_from(scenario.name, said, [*sources, *([scenario.source] if scenario.source else [])]))
    return ideas
