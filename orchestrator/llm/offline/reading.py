"""One document -> what is found in it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from orchestrator.llm.offline import places, signals
from orchestrator.llm.offline.findings import DocumentFindings, Example, Feature, Finding, Kind, Source, Step
from orchestrator.llm.offline.rows import row_words
from orchestrator.llm.offline.scenes import Scene, scenes
from orchestrator.llm.offline.signals import Endpoint, Priority
from orchestrator.llm.offline.structure import Heading, Unit, UnitKind, units_of
from orchestrator.llm.offline.wording import lines_of, one_line

EXAMPLE_LIMIT = 2000


def read_document(path: str, text: str) -> DocumentFindings:
    """Everything found in one document, in the order of its lines."""
    return _Reading(path, len(lines_of(text))).read(scenes(units_of(path, text)))


class _Reading:
    def __init__(self, path: str, lines: int) -> None:
        self._path = path
        self._lines = lines
        self._found: list[Finding] = []
        self._examples: list[Example] = []
        self._questions: list[tuple[str, Source]] = []
        self._endpoints: dict[Heading, tuple[Endpoint, Source]] = {}
        self._headings: dict[
            Heading, int
        ] = {}  # those with an id whose finding still stands for its section's first words
        self._leads: list[tuple[int, str, Priority]] = []  # what the items deeper than that continue
        self._scopes: list[tuple[int, Endpoint, Source]] = []  # which endpoint the items deeper than that are about
        self._before = ""

    def read(self, parts: Sequence[Unit | Scene]) -> DocumentFindings:
        for part in parts:
            if isinstance(part, Scene):
                self._scene(part)
            else:
                self._unit(part)
        found = sorted(self._found, key=lambda finding: finding.source.line)
        return DocumentFindings(self._path, self._lines, tuple(found), tuple(self._examples), tuple(self._questions))

    def _unit(self, unit: Unit) -> None:
        if unit.kind is UnitKind.CODE:
            self._code(unit)
            return
        if unit.kind is not UnitKind.ITEM:
            self._leads, self._scopes = [], []
        self._before = unit.text
        if places.leaves_open(unit.text) or (unit.text.endswith("?") and signals.obligation(unit.text[:-1])):
            self._questions.append((unit.text, self._source(unit.line)))
        if unit.kind is UnitKind.HEADING:
            self._heading(unit)
        elif unit.kind is UnitKind.ROW:
            self._row(unit)
        elif unit.kind is UnitKind.ITEM:
            self._item(unit)
        else:
            self._sentence(unit, unit.text, unit.line)

    def _scene(self, scene: Scene) -> None:
        steps = tuple(Step(step.keyword, step.text, self._source(step.line)) for step in scene.steps)
        found_id, name = signals.leading_id(scene.name)
        first = steps[0].source.line if scene.line is None else scene.line
        said = " ".join(f"{step.keyword} {step.text}" for step in steps)
        text = name or f"{steps[0].keyword} {steps[0].text}"
        self._keep(
            scene.unit, Kind.SCENARIO, text, first, found_id=found_id, said=f"{scene.name} {said}", steps=steps
        )

    def _heading(self, unit: Unit) -> None:
        found_id, rest = signals.leading_id(unit.text)
        own = signals.endpoints(unit.text)
        place = unit.trail[-1]
        if own:
            self._endpoints[place] = own[0], self._source(unit.line)
        if found_id and rest:
            kind = Kind.CRITERION if signals.is_criterion_id(found_id) else Kind.REQUIREMENT
            self._headings[place] = len(self._found)
            self._keep(unit, kind, rest, unit.line, found_id=found_id)
        elif signals.obligation(unit.text) and not own:
            self._keep(unit, Kind.REQUIREMENT, unit.text, unit.line)
        for endpoint in own:
            self._keep(unit, Kind.ENDPOINT, unit.text, unit.line, endpoint=(endpoint, self._source(unit.line)))

    def _row(self, unit: Unit) -> None:
        row = row_words(unit)
        if row.text == row.found_id:
            self._questions.append((f"{row.found_id} has no words", self._source(unit.line)))
            return
        self._line(
            unit,
            row.text,
            unit.line,
            said=row.said,
            found_id=row.found_id,
            priority=row.priority,
            http=row.has_status,
        )

    def _item(self, unit: Unit) -> None:
        self._leads = [lead for lead in self._leads if lead[0] < unit.depth]
        self._scopes = [scope for scope in self._scopes if scope[0] < unit.depth]
        found_id, rest = signals.leading_id(unit.text)
        if found_id and places.is_for_criteria(unit.trail) and signals.is_check(rest):
            found_id, rest = None, unit.text  # a check of that requirement, not the requirement
        lead = self._leads[-1] if self._leads else None
        obliged = signals.obligation(unit.text)
        if unit.text.endswith(":") and obliged and found_id is None:
            self._leads.append((unit.depth, unit.text.rstrip(": "), obliged))
            return
        if lead:
            self._leads.append((unit.depth, f"{lead[1]} {rest}", lead[2]))
        self._open_scope(unit.depth, unit.text, unit.line)
        if found_id or len(unit.parts) == 1 or places.is_for_criteria(unit.trail):
            self._line(unit, rest, unit.line, said=unit.text, found_id=found_id, lead=lead)
            return
        for part in unit.parts:
            self._sentence(unit, part.text, part.line, lead=lead)

    def _sentence(self, unit: Unit, text: str, line: int, lead: tuple[int, str, Priority] | None = None) -> None:
        found_id, rest = signals.leading_id(text)
        obliged = signals.obligation(text)
        if text.endswith(":") and obliged and unit.kind is UnitKind.SENTENCE:
            self._leads = [(-1, text.rstrip(": "), obliged)]
            return
        if text.endswith(":"):
            self._open_scope(-1, text, line)
        self._line(unit, rest if found_id else text, line, said=text, found_id=found_id, lead=lead)

    def _line(
        self,
        unit: Unit,
        text: str,
        line: int,
        *,
        said: str,
        found_id: str | None = None,
        priority: Priority | None = None,
        lead: tuple[int, str, Priority] | None = None,
        http: bool = False,
    ) -> None:
        if not text or (text.endswith("?") and found_id is None):
            return
        own = signals.endpoints(said)
        scope = (own[0], self._source(line)) if own else self._scope(unit)
        codes = signals.status_codes(said, expected=http or scope is not None)
        obliged = signals.obligation(said)
        weighed = obliged or (lead[2] if lead else None)
        kind = self._kind(unit, said, found_id=found_id, obliged=weighed, own=own, codes=codes)
        if kind is None:
            return
        weight = priority or weighed or Priority.MUST
        inline = signals.inline_steps(text) if kind in {Kind.CRITERION, Kind.REQUIREMENT} else ()
        steps = tuple(Step(keyword, words, self._source(line)) for keyword, words in inline)
        about = [(each, self._source(line)) for each in own] if kind is Kind.ENDPOINT else [scope]
        for endpoint in about:
            self._keep(
                unit, kind, text, line, said=said, found_id=found_id, priority=weight, endpoint=endpoint,
                codes=codes, steps=steps, lead="" if obliged or not lead else lead[1],
            )  # fmt: skip

    def _kind(
        self,
        unit: Unit,
        said: str,
        *,
        found_id: str | None,
        obliged: Priority | None,
        own: Sequence[Endpoint],
        codes: Sequence[int],
    ) -> Kind | None:
        listed = unit.kind in {UnitKind.ITEM, UnitKind.ROW}
        in_criteria = listed and places.is_for_criteria(unit.trail)
        if signals.is_criterion_id(found_id) if found_id else (in_criteria or signals.is_check(said)):
            return Kind.CRITERION
        if signals.inline_steps(said) and "then" in said.casefold():
            return Kind.CRITERION
        if obliged or signals.is_story(said):
            return Kind.REQUIREMENT
        if own:
            return Kind.ENDPOINT
        if codes:
            return Kind.RESPONSE
        wanted = listed and places.is_for_requirements(unit.trail)
        return Kind.REQUIREMENT if found_id or wanted else None

    def _keep(
        self,
        unit: Unit,
        kind: Kind,
        text: str,
        line: int,
        *,
        found_id: str | None = None,
        said: str = "",
        priority: Priority = Priority.MUST,
        endpoint: tuple[Endpoint, Source] | None = None,
        codes: tuple[int, ...] = (),
        steps: tuple[Step, ...] = (),
        lead: str = "",
    ) -> None:
        said = said or text
        finding = Finding(
            kind=kind,
            text=text,
            source=self._source(line),
            feature=self._feature(unit),
            id=found_id or "",
            lead=lead,
            priority=priority,
            endpoint=endpoint[0] if endpoint else None,
            endpoint_source=endpoint[1] if endpoint else None,
            codes=codes,
            limits=signals.limits(said),
            steps=steps,
            mentions=signals.mentioned_ids(said) - {found_id},
            above=frozenset().union(*(signals.mentioned_ids(heading.title) for heading in unit.trail)) - {found_id},
        )
        if unit.kind is not UnitKind.HEADING and not found_id and self._stands_for_heading(unit, finding):
            return
        self._found.append(finding)

    def _stands_for_heading(self, unit: Unit, finding: Finding) -> bool:
        """The first words of a section say what its heading's id is about: they take the place of its finding."""
        place = unit.trail[-1] if unit.trail else None
        index = self._headings.get(place) if place else None
        if place is None or index is None:
            return False
        held = self._found[index]
        fits = finding.kind is Kind.SCENARIO if held.kind is Kind.CRITERION else finding.kind is Kind.REQUIREMENT
        if not fits:
            return False
        del self._headings[place]
        self._found[index] = msgspec.structs.replace(
            finding, id=held.id, also=(held.source,), above=finding.above - {held.id}
        )
        return True

    def _code(self, unit: Unit) -> None:
        scope = self._scope(unit)
        if scope is None or unit.language not in {"json", "jsonc", ""} or len(unit.text) > EXAMPLE_LIMIT:
            return
        if places.speaks_of_answer(self._before) or any(example.endpoint == scope[0] for example in self._examples):
            return
        try:
            body = json.loads(unit.text)
        except (ValueError, RecursionError):
            return
        if isinstance(body, dict):
            compact = one_line(json.dumps(body, ensure_ascii=False))
            self._examples.append(Example(scope[0], compact, self._source(unit.line + 1)))

    def _open_scope(self, depth: int, text: str, line: int) -> None:
        own = signals.endpoints(text)
        if len(own) == 1:
            self._scopes.append((depth, own[0], self._source(line)))

    def _scope(self, unit: Unit) -> tuple[Endpoint, Source] | None:
        """The endpoint that a line without one of its own is about: that of the item or heading above it."""
        deeper = [scope for scope in self._scopes if scope[0] < unit.depth]
        if deeper:
            return deeper[-1][1:]
        return next((self._endpoints[place] for place in reversed(unit.trail) if place in self._endpoints), None)

    def _feature(self, unit: Unit) -> Feature:
        for place in reversed(unit.trail):
            if not places.is_generic(place):
                return Feature(place.title, self._source(place.line))
        if unit.trail:
            return Feature(unit.trail[-1].title, self._source(unit.trail[-1].line))
        return Feature(one_line(self._path), self._source(1))

    def _source(self, line: int) -> Source:
        return Source(self._path, line)
