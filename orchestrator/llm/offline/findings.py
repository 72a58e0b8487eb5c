"""What was found in the documents: the vocabulary that every artifact is written from."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from orchestrator.llm.offline.signals import Endpoint, Priority
from orchestrator.llm.offline.wording import one_line


class Kind(StrEnum):
    """What a finding is. Criteria and scenarios are test ideas; the others want testing."""

    REQUIREMENT = "requirement"
    ENDPOINT = "endpoint"
    RESPONSE = "response"
    CRITERION = "criterion"
    SCENARIO = "scenario"


IDEAS = frozenset({Kind.CRITERION, Kind.SCENARIO})
_PREFIX = {
    Kind.REQUIREMENT: "R",
    Kind.ENDPOINT: "EP",
    Kind.RESPONSE: "RSP",
    Kind.CRITERION: "AC",
    Kind.SCENARIO: "SC",
}


class Source(msgspec.Struct, frozen=True, order=True):
    """A line of a document; as text ``path:line``, on one line."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{one_line(self.path)}:{self.line}"


class Step(msgspec.Struct, frozen=True):
    """One step of a scenario: Gherkin keyword, words, and the line they come from."""

    keyword: str
    text: str
    source: Source


class Feature(msgspec.Struct, frozen=True):
    """The part of a document that findings belong to, by its heading; a document without one by its first line."""

    name: str
    source: Source


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found. ``text`` quotes the line of ``source``; ``lead`` is what a list's items continue.

    ``mentions`` are other ids on the line, ``above`` those in the headings above it, ``also`` further lines that say
    the same. ``endpoint`` stands on the line or above it, at ``endpoint_source``; ``codes`` are HTTP status codes,
    ``limits`` phrases with a number. ``id`` is the document's own or, in a `Findings`, one made up for it.
    """

    kind: Kind
    text: str
    source: Source
    feature: Feature
    id: str = ""
    lead: str = ""
    priority: Priority = Priority.MUST
    endpoint: Endpoint | None = None
    endpoint_source: Source | None = None
    codes: tuple[int, ...] = ()
    limits: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    mentions: frozenset[str] = frozenset()
    above: frozenset[str] = frozenset()
    also: tuple[Source, ...] = ()

    @property
    def statement(self) -> str:
        """The whole sentence, the lead of its list included."""
        return f"{self.lead} {self.text}" if self.lead else self.text


class Example(msgspec.Struct, frozen=True):
    """A JSON object given as the body of a request to an endpoint."""

    endpoint: Endpoint
    body: str
    source: Source


class DocumentFindings(msgspec.Struct, frozen=True):
    """Everything found in one document, in the order of its lines; ``lines`` is how many it has.

    ``questions`` are lines that leave something open.
    """

    path: str
    lines: int
    found: tuple[Finding, ...] = ()
    examples: tuple[Example, ...] = ()
    questions: tuple[tuple[str, Source], ...] = ()


class Findings(msgspec.Struct, frozen=True):
    """Everything found in all documents, each once and each with an id of its own; ``omitted`` was not read."""

    documents: tuple[DocumentFindings, ...]
    found: tuple[Finding, ...]
    omitted: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[Finding, ...]:
        """What wants testing."""
        return tuple(finding for finding in self.found if finding.kind not in IDEAS)

    @property
    def ideas(self) -> tuple[Finding, ...]:
        """The test ideas that the documents have themselves."""
        return tuple(finding for finding in self.found if finding.kind in IDEAS)


def merged(documents: Sequence[DocumentFindings], omitted: Sequence[str] = ()) -> Findings:
    """The findings of all documents: the same words become one finding, and every finding gets an id.

    The first place is the source, later ones are ``also``. An id that the document gives is kept; one given twice for
    different words gets ``/2``; the rest are numbered by kind, clear of those the documents use.
    """
    by_words: dict[object, tuple[Finding, dict[Source, None]]] = {}  # the first of these words, and all their places
    for document in documents:
        for finding in document.found:
            places = dict.fromkeys((finding.source, *finding.also))
            by_words.setdefault(_same_words(finding), (finding, places))[1][finding.source] = None
    found = [msgspec.structs.replace(first, also=tuple(places)[1:]) for first, places in by_words.values()]
    return Findings(tuple(documents), tuple(_numbered(_known_endpoints_once(found))), tuple(omitted))


def _same_words(finding: Finding) -> object:
    if finding.kind is Kind.ENDPOINT and not finding.codes and not finding.id:
        return finding.endpoint
    steps = tuple((step.keyword, step.text.casefold()) for step in finding.steps)
    return (
        finding.kind in IDEAS,
        finding.id,
        finding.statement.casefold().rstrip(" .;,"),
        finding.endpoint,
        steps,
    )


def _known_endpoints_once(found: list[Finding]) -> list[Finding]:
    """A bare mention of an endpoint is no finding of its own where another one describes it."""
    described: dict[Endpoint, int] = {}
    for index, finding in enumerate(found):
        own_line = finding.endpoint is not None and str(finding.endpoint) in finding.text
        if finding.endpoint and finding.kind not in IDEAS and own_line and (finding.codes or finding.id):
            described.setdefault(finding.endpoint, index)
    kept = []
    for index, finding in enumerate(found):
        bare = finding.kind is Kind.ENDPOINT and not finding.codes and not finding.id
        keeper = described.get(finding.endpoint) if bare and finding.endpoint else None
        if keeper is None or keeper == index:
            kept.append((index, finding))
            continue
        also = (*found[keeper].also, finding.source, *finding.also)
        found[keeper] = msgspec.structs.replace(found[keeper], also=tuple(sorted(set(also))))
    return [found[index] for index, _ in kept]


def _numbered(found: Sequence[Finding]) -> list[Finding]:
    given = {finding.id for finding in found if finding.id}
    taken: dict[str, int] = {}  # with the last suffix that each was given
    counters = dict.fromkeys(Kind, 0)
    numbered = []
    for finding in found:
        name = finding.id
        if not name:
            name = _next_free(finding.kind, counters, given)
        elif name in taken:
            name = _with_suffix(name, taken, given)
        taken[name] = 1
        numbered.append(msgspec.structs.replace(finding, id=name))
    return numbered


def _next_free(kind: Kind, counters: dict[Kind, int], given: set[str]) -> str:
    while True:
        counters[kind] += 1
        name = f"{_PREFIX[kind]}-{counters[kind]:03d}"
        if name not in given:
            return name


def _with_suffix(name: str, taken: dict[str, int], given: set[str]) -> str:
    while True:
        taken[name] += 1
        suffixed = f"{name}/{taken[name]}"
        if suffixed not in taken and suffixed not in given:
            return suffixed
