"""What all artifacts have in common: they come in sections, stay within bounds, and say what they leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from orchestrator.llm.offline.findings import Finding, Findings, Source
from orchestrator.llm.offline.signals import Priority
from orchestrator.llm.offline.wording import code, counted, markdown, one_line

ROW_LIMIT = 400
"""Most findings that one artifact deals with; those that documents insist on most come first."""

LOOKED_FOR = (
    "sentences with must, shall, should, have to, need to or cannot",
    "ids such as FR-1, US-2 or AC-3.1",
    "Given / When / Then",
    "“As a …, I want …”",
    "lists and tables under headings such as Requirements or Acceptance criteria",
    "HTTP methods with a path",
    "HTTP status codes",
)

Item = TypeVar("Item")


class Section(msgspec.Struct, frozen=True):
    """The next part of an artifact's text, and what writing it is called in progress labels."""

    label: str
    text: str


def within_bounds(
    found: Sequence[Finding], limit: int = ROW_LIMIT
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What is dealt with, in the order given, and what is left out: the least insisted on, from the end."""
    if len(found) <= limit:
        return tuple(found), ()
    order = list(Priority)
    ranked = sorted(range(len(found)), key=lambda index: order.index(found[index].priority))
    kept = set(ranked[:limit])
    return (
        tuple(finding for index, finding in enumerate(found) if index in kept),
        tuple(finding for index, finding in enumerate(found) if index not in kept),
    )


def left_out_notes(left_out: Sequence[Finding]) -> list[tuple[str, str]]:
    """For each document of which findings are left out: the first of them, and how many of what weight they are."""
    per_path: dict[str, list[Finding]] = {}
    for finding in left_out:
        per_path.setdefault(finding.source.path, []).append(finding)
    notes = []
    for missing in per_path.values():
        weights = Counter(finding.priority for finding in missing)
        split = ", ".join(f"{weights[priority]} {priority}" for priority in Priority if weights[priority])
        notes.append((str(missing[0].source), f"{counted(len(missing), 'finding')} left out from here on ({split})"))
    return notes


def read_notes(findings: Findings) -> list[tuple[str, str]]:
    """For each document: its first line, or its path where it was not read, and what came of it."""
    notes = []
    for document in findings.documents:
        first = f", the first in line {document.found[0].source.line}" if document.found else ""
        said = f"{counted(document.lines, 'line')}, {counted(len(document.found), 'finding')}{first}"
        notes.append((str(Source(document.path, 1)), said))
    return notes + [(one_line(path), "not read: it did not fit the token limit") for path in findings.omitted]


def bullets(notes: Iterable[tuple[str, str]]) -> str:
    """Notes as a Markdown list."""
    return "".join(f"- {code(where)}: {markdown(said)}\n" for where, said in notes)


def grouped(items: Iterable[tuple[object, Item]]) -> list[list[Item]]:
    """The items that belong together, groups and items in order of first appearance."""
    groups: dict[object, list[Item]] = {}
    for key, item in items:
        groups.setdefault(key, []).append(item)
    return list(groups.values())
