"""Which requirement is touched by which test idea, and what no idea touches yet."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from orchestrator.llm.offline.findings import Finding, Kind, Source
from orchestrator.llm.offline.signals import Endpoint, endpoints, mentioned_ids, status_codes
from orchestrator.llm.offline.wording import significant

NO_IDEA = "no test idea"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Idea(msgspec.Struct, frozen=True, kw_only=True):
    """A test idea, wherever it stands: in a document, or in an artifact before. ``numbers`` are in its text."""

    name: str
    text: str
    sources: frozenset[Source]
    ids: frozenset[str] = frozenset()
    endpoint: Endpoint | None = None
    codes: frozenset[int] = frozenset()
    numbers: frozenset[str] = frozenset()


class Coverage(msgspec.Struct, frozen=True):
    """One thing that wants testing, the names of the ideas that touch it, and what none of them does."""

    finding: Finding
    ideas: tuple[str, ...]
    gaps: tuple[str, ...]


def idea_of(finding: Finding) -> Idea:
    """A criterion or scenario of a document as an idea."""
    said = " ".join((finding.statement, *(step.text for step in finding.steps)))
    return Idea(
        name=finding.id,
        text=said,
        sources=frozenset((finding.source,)),
        ids=finding.mentions | finding.above,
        endpoint=finding.endpoint or next(iter(endpoints(said)), None),
        codes=frozenset(finding.codes) | frozenset(status_codes(said)),
        numbers=frozenset(_NUMBER.findall(said)),
    )


def idea_from(name: str, text: str, sources: Iterable[Source]) -> Idea:
    """A scenario of an earlier artifact as an idea."""
    return Idea(
        name=name,
        text=text,
        sources=frozenset(sources),
        ids=mentioned_ids(f"{name} {text}"),
        endpoint=next(iter(endpoints(text)), None),
        codes=frozenset(status_codes(text)),
        numbers=frozenset(_NUMBER.findall(text)),
    )


def coverage(wanted: Sequence[Finding], ideas: Sequence[Idea]) -> list[Coverage]:
    """What touches each of ``wanted``, in their order.

    An idea touches what its words or the headings above it name by id; an endpoint that it is about, and of what is
    said of that endpoint, that with a status it has; what stands on a line of its own; and what it shares three
    telling words with, if these are two thirds of the shorter. ``AC-3.1`` belongs to number 3 of the same document
    unless it names another.
    """
    touching: list[dict[int, None]] = [{} for _ in wanted]
    index = _Index(wanted)
    for number, idea in enumerate(ideas):
        for found in sorted(index.touched_by(idea)):
            touching[found][number] = None
    return [
        Coverage(
            finding, tuple(dict.fromkeys(ideas[i].name for i in numbers)), _gaps(finding, [ideas[i] for i in numbers])
        )
        for finding, numbers in zip(wanted, touching, strict=True)
    ]


class _Index:
    def __init__(self, wanted: Sequence[Finding]) -> None:
        self._wanted = wanted
        self._words = [significant(finding.statement) for finding in wanted]
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        self._by_id: dict[str, int] = {}
        self._by_endpoint: defaultdict[Endpoint, list[int]] = defaultdict(list)
        self._by_source: defaultdict[Source, list[int]] = defaultdict(list)
        self._by_root: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for number, finding in enumerate(wanted):
            self._by_id[finding.id] = number
            self._by_source[finding.source].append(number)
            self._by_root[(finding.source.path, _root(finding.id))].append(number)
            if finding.endpoint:
                self._by_endpoint[finding.endpoint].append(number)
            for word in self._words[number]:
                self._by_word[word].append(number)

    def touched_by(self, idea: Idea) -> set[int]:
        touched = {self._by_id[name] for name in idea.ids if name in self._by_id}
        if not touched and "." in idea.name:
            root = _root(idea.name.partition(".")[0])
            touched.update(number for source in idea.sources for number in self._by_root[(source.path, root)])
        for source in idea.sources:
            touched.update(self._by_source.get(source, ()))
        touched.update(self._same_endpoint(idea))
        return touched | self._same_words(idea)

    def _same_endpoint(self, idea: Idea) -> Iterable[int]:
        for number in self._by_endpoint.get(idea.endpoint, ()) if idea.endpoint else ():
            finding = self._wanted[number]
            if finding.kind is Kind.ENDPOINT or idea.codes.intersection(finding.codes):
                yield number

    def _same_words(self, idea: Idea) -> set[int]:
        words = significant(idea.text)
        shared = Counter(number for word in words for number in self._by_word.get(word, ()))
        return {
            number
            for number, count in shared.items()
            if count >= 3 and 3 * count >= 2 * min(len(words), len(self._words[number]))
        }


def _root(name: str) -> str:
    numbers = _NUMBER.findall(name)
    return numbers[0].lstrip("0") if numbers else name


def _gaps(finding: Finding, ideas: Sequence[Idea]) -> tuple[str, ...]:
    gaps = [] if ideas else [NO_IDEA]
    codes = frozenset[int]().union(*(idea.codes for idea in ideas if finding.codes))
    numbers = frozenset[str]().union(*(idea.numbers for idea in ideas if finding.limits))
    gaps += [f"status {code}" for code in finding.codes if code not in codes]
    gaps += [f'limit "{limit}"' for limit in finding.limits if not numbers.issuperset(_NUMBER.findall(limit))]
    return tuple(gaps)
