"""One document -> what is found in it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from orchestrator.llm.offline import places, signals
from orchestrator.llm.offline.findings import DocumentFindings, Example, Feature, Finding, Kind, Source, Step
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
        self._endpoints: dict[Heading | None, Endpoint] = {}
        self._headings: dict[
            Heading, int
        ] = {}  # those with an id whose finding still stands for its section's first words
        self._leads: list[tuple[int, str, Priority]] = []

    def read(self, parts: Sequence[Unit | Scene]) -> DocumentFindings:
        for part in parts:
            if isinstance(part, Scene):
                self._scene(part)
            else:
                self._unit(part)
        found = sorted(self._found, key=lambda finding: finding.source.line)
        return DocumentFindings(self._path, self._lines, tuple(found), tuple(self._examples), tuple(self._questions))

    def _unit(self, unit: Unit) -> None:
        if unit.kind is not UnitKind.ITEM:
            self._leads = self._leads if unit.kind is UnitKind.CODE else []
        if unit.kind is UnitKind.CODE:
            self._code(unit)
            return
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
            self._endpoints[place] = own[0]
        if found_id and rest:
            kind = Kind.CRITERION if signals.is_criterion_id(found_id) else Kind.REQUIREMENT
            self._headings[place] = len(self._found)
            self._keep(unit, kind, rest, unit.line, found_id=found_id)
        elif signals.obligation(unit.text) and not own:
            self._keep(unit, Kind.REQUIREMENT, unit.text, unit.line)
        for endpoint in own:
            self._keep(unit, Kind.ENDPOINT, unit.text, unit.line, endpoint=endpoint)

    def _row(self, unit: Unit) -> None:
        text = next((cell for title, cell in unit.cells if places.holds_text(title) and cell), unit.text)
        found_id = next(
            (found for found, rest in map(signals.leading_id, self._cells(unit)) if found and not rest), None
        )
        priorities = [signals.priority_word(cell) for title, cell in unit.cells if places.holds_priority(title)]
        said = self._method_before_path(unit)
        in_codes = any(
            places.holds_status(title) and signals.status_codes(cell, expected=True) for title, cell in unit.cells
        )
        if found_id is None and (in_codes or signals.endpoints(said) or not signals.obligation(text)):
            text = said
        self._line(
            unit, text, unit.line, said=said, found_id=found_id, priority=next(iter(priorities), None), http=in_codes
        )

    def _cells(self, unit: Unit) -> list[str]:
        return [cell for _, cell in unit.cells]

    def _method_before_path(self, unit: Unit) -> str:
        cells = self._cells(unit)
        method = next((cell for cell in cells if cell in signals.METHODS), None)
        path = next((cell for cell in cells if cell.startswith("/")), None)
        if method is None or path is None:
            return " · ".join(cell for cell in cells if cell)
        return " · ".join([f"{method} {path}", *(cell for cell in cells if cell and cell not in {method, path})])

    def _item(self, unit: Unit) -> None:
        self._leads = [lead for lead in self._leads if lead[0] < unit.depth]
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
        scope = own[0] if own else self._endpoint_above(unit)
        codes = signals.status_codes(said, expected=http or scope is not None)
        obliged = signals.obligation(said)
        weighed = obliged or (lead[2] if lead else None)
        kind = self._kind(unit, said, found_id=found_id, obliged=weighed, own=own, codes=codes)
        if kind is None:
            return
        weight = priority or weighed or Priority.MUST
        inline = signals.inline_steps(text) if kind in {Kind.CRITERION, Kind.REQUIREMENT} else ()
        steps = tuple(Step(keyword, words, self._source(line)) for keyword, words in inline)
        for endpoint in own if kind is Kind.ENDPOINT else (scope,):
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
        endpoint: Endpoint | None = None,
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
            endpoint=endpoint,
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
        scope = self._endpoint_above(unit)
        if scope is None or unit.language not in {"json", "jsonc", ""} or len(unit.text) > EXAMPLE_LIMIT:
            return
        if any(example.endpoint == scope for example in self._examples):
            return
        try:
            body = json.loads(unit.text)
        except (ValueError, RecursionError):
            return
        if isinstance(body, dict):
            compact = one_line(json.dumps(body, ensure_ascii=False))
            self._examples.append(Example(scope, compact, self._source(unit.line + 1)))

    def _endpoint_above(self, unit: Unit) -> Endpoint | None:
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
