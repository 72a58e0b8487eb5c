"""Artifacts of the agents before -> what the next one works from: rows of a matrix, scenarios in Gherkin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from orchestrator.llm.offline.coverage import Idea, idea_from
from orchestrator.llm.offline.findings import Feature, Finding, Findings, Kind, Source, Step
from orchestrator.llm.offline.scenarios import Scenario, unique_names
from orchestrator.llm.offline.signals import Priority, mentioned_ids, priority_word
from orchestrator.llm.offline.structure import Unit, UnitKind, units_of
from orchestrator.llm.offline.wording import one_line
from orchestrator.ports import Artifact, Document

_REFERENCE = re.compile(r"(?:^|(?<=[\s(\[`,]))([^\s`,()\[\]][^`,()\[\]]{0,300}?):(\d{1,9})(?!\d)")
_SOURCE = re.compile(r"^#\s*Source:\s*(.+?):(\d{1,9})(?: — (.*))?$")
_TITLE = re.compile(r"^(Feature|Rule|Scenario Outline|Scenario Template|Scenario|Example):\s*(.*)$")
_STEP = re.compile(r"^(Given|When|Then|And|But|\*)\s+(.*)$")


class Row(msgspec.Struct, frozen=True):
    """A row of a coverage matrix: the finding it is about, and what it says is not covered yet."""

    finding: Finding
    gap: str


class Lines(msgspec.Struct, frozen=True):
    """The lines that references can point to: those of the documents, by path on one line."""

    by_path: Mapping[str, tuple[str, Sequence[str]]]

    @classmethod
    def of(cls, documents: Sequence[Document], split: Callable[[str], Sequence[str]]) -> Lines:
        """The lines of these documents; ``split`` parts a text into its lines."""
        return cls({one_line(document.path): (document.path, split(document.text)) for document in documents})

    def sources(self, text: str) -> Iterator[Source]:
        """Every ``path:line`` in the text that is a line of a document, in order."""
        for path, number in _REFERENCE.findall(text):
            source = self.source(path, number)
            if source:
                yield source

    def source(self, path: str, number: str) -> Source | None:
        """That line, if there is one."""
        known = self.by_path.get(path.strip())
        return Source(known[0], int(number)) if known and 1 <= int(number) <= len(known[1]) else None


def matrix_rows(artifacts: Sequence[Artifact], findings: Findings, lines: Lines) -> tuple[list[Row], list[str]]:
    """The rows of every coverage matrix among the artifacts, each once, and the text of those that trace to no line.

    A row is any row of a Markdown table with the columns ``ID`` and ``Source``. It stands for the finding of that id
    and line, else for what its own words say of that line.
    """
    known = {(finding.id, finding.source): finding for finding in findings.found}
    rows: dict[str, Row] = {}
    untraced: list[str] = []
    for artifact in artifacts:
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


def scenarios_in(artifacts: Sequence[Artifact], lines: Lines) -> list[Scenario]:
    """Every scenario in the Gherkin blocks of the artifacts, in order, under names of their own.

    A ``# Source: path:line`` comment says where what follows comes from; without one, a reference in the name does.
    """
    found: list[Scenario] = []
    for artifact in artifacts:
        for unit in units_of("scenarios.md", artifact.content):
            if unit.kind is UnitKind.CODE and (
                unit.language == "gherkin" or unit.text.lstrip().startswith("Feature:")
            ):
                found.extend(_Block(lines, artifact.title).read(unit.text))
    return unique_names(found)


class _Block:
    def __init__(self, lines: Lines, title: str) -> None:
        self._lines = lines
        self._feature = Feature(title, Source("", 0))
        self._source: Source | None = None
        self._quote = ""
        self._tags: tuple[str, ...] = ()
        self._background: list[Step] = []
        self._current: list[Step] = self._background
        self._open: tuple[str, Source | None, str, tuple[str, ...]] | None = None
        self._done: list[Scenario] = []

    def read(self, text: str) -> list[Scenario]:
        for raw in text.split("\n"):
            self._take(raw.strip())
        self._close()
        return self._done

    def _take(self, line: str) -> None:
        source, title, step = _SOURCE.match(line), _TITLE.match(line), _STEP.match(line)
        if source:
            self._source = self._lines.source(source.group(1), source.group(2))
            self._quote = source.group(3) or ""
        elif line.startswith("@"):
            self._tags = tuple(word[1:] for word in line.split() if word.startswith("@"))
        elif title and title.group(1) in {"Feature", "Rule"}:
            where = self._source
            self._close()
            self._feature = Feature(title.group(2), where or Source("", 0))
            self._background = []
            self._current = self._background
        elif title:
            where = self._source or next(self._lines.sources(title.group(2)), None)
            self._close()
            self._open = (title.group(2), where, self._quote, self._tags)
            self._source, self._quote, self._tags, self._current = where, "", (), []
        elif step:
            self._current.append(Step(step.group(1), step.group(2), self._source or Source("", 0)))

    def _close(self) -> None:
        if self._open is None:
            return
        name, source, quote, tags = self._open
        steps = (*self._background, *self._current)
        self._done.append(
            Scenario(name=name, feature=self._feature, steps=steps, source=source, quote=quote, tags=tags)
        )
        self._open, self._source = None, None


def ideas_in(artifacts: Sequence[Artifact], lines: Lines) -> list[Idea]:
    """The scenarios in the artifacts as test ideas: they cover the lines they come from."""
    return [
        idea_from(
            scenario.name,
            " ".join((*scenario.tags, *(step.text for step in scenario.steps))),
            {scenario.source, *(step.source for step in scenario.steps)} - {None, Source("", 0)},  # type: ignore[arg-type]
        )
        for scenario in scenarios_in(artifacts, lines)
    ]
