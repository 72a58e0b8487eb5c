"""What the place of a line says about it: the headings above it, the title of its column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.llm.offline.structure import Heading

_CRITERIA = re.compile(
    r"\b(?:acceptance|criteria|definition of done|test (?:cases?|ideas?|plan|scenarios?)|tests|scenarios?|"
    r"verification)\b",
    re.IGNORECASE,
)
_REQUIREMENTS = re.compile(
    r"\b(?:requirements?|business rules?|rules|constraints|(?:must|should|could)[- ]haves?|nice to haves?)\b",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"^(?:[\d.]+\s+)?(?:acceptance(?: criteria)?|criteria|(?:(?:non-?)?functional )?requirements?|"
    r"(?:business )?rules|responses?|errors?|(?:error|status) codes|scenarios?|tests?|test cases|examples?|request|"
    r"parameters|notes?|details|description)$",
    re.IGNORECASE,
)
_UNWANTED = re.compile(
    r"\b(?:out of scope|non-goals?|not in scope|changelog|glossary|references|open questions?)\b", re.IGNORECASE
)
_OPEN = re.compile(
    r"\b(?:TBD|TBC|TODO|FIXME|to be (?:decided|defined|confirmed|agreed)|open question)\b", re.IGNORECASE
)
_ANSWER = re.compile(r"\b(?:respon|return|answer|repl)", re.IGNORECASE)
_TEXT_COLUMN = re.compile(
    r"requirement|description|criterion|criteria|statement|rule|story|text|expected|title|name|what", re.IGNORECASE
)
_STATUS_COLUMN = re.compile(r"status|code|response|error|result|success|http", re.IGNORECASE)
_PRIORITY_COLUMN = re.compile(r"priority|moscow|level|importance", re.IGNORECASE)


def is_for_criteria(trail: Sequence[Heading]) -> bool:
    """Whether items under these headings are test ideas."""
    return any(_CRITERIA.search(heading.title) for heading in trail[-2:])


def is_for_requirements(trail: Sequence[Heading]) -> bool:
    """Whether items under these headings are requirements, even without a word that obliges."""
    near = trail[-2:]
    return any(_REQUIREMENTS.search(heading.title) for heading in near) and not any(
        _UNWANTED.search(heading.title) for heading in near
    )


def is_generic(heading: Heading) -> bool:
    """Whether a heading only says what kind of lines follow, and not what they are about."""
    return _GENERIC.match(heading.title) is not None


def leaves_open(text: str) -> bool:
    """Whether a line says that something is still to be decided."""
    return _OPEN.search(text) is not None


def speaks_of_answer(text: str) -> bool:
    """Whether what follows is likely to be an answer rather than a request."""
    return _ANSWER.search(text) is not None


def holds_text(column: str) -> bool:
    """Whether a column of that title has the words of a requirement or criterion."""
    return _TEXT_COLUMN.search(column) is not None


def holds_status(column: str) -> bool:
    """Whether numbers in a column of that title are likely to be status codes."""
    return _STATUS_COLUMN.search(column) is not None


def holds_priority(column: str) -> bool:
    """Whether a column of that title has priorities."""
    return _PRIORITY_COLUMN.search(column) is not None
