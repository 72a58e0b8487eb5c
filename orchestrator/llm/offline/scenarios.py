"""Findings -> scenarios: steps made of the words found, each step with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from orchestrator.llm.offline import signals
from orchestrator.llm.offline.findings import Feature, Finding, Kind, Source, Step
from orchestrator.llm.offline.wording import clip, one_line

STEP_LIMIT = 400
_NAME_LIMIT = 110
_ARTICLES = re.compile(r"^(?:The|A|An|Each|Every|All|Any|No|It|They|This|These|Users?|After|Before)(?=\s)")
_CLOSING = " .,;:"
_TAG = re.compile(r"[^\w./-]+")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try, in Gherkin's terms. ``source`` is the line it is about, ``quote`` words of that line.

    ``source`` is None only where an earlier artifact does not say where a scenario comes from.
    """

    name: str
    feature: Feature
    steps: tuple[Step, ...]
    source: Source | None
    quote: str = ""
    tags: tuple[str, ...] = ()


def scenarios_for(finding: Finding) -> Iterator[Scenario]:
    """The scenarios of one finding: as it is told, or one for each status code, or one for what it says."""
    if finding.steps:
        yield _scenario(finding, _told_shortly(finding), finding.steps)
    elif finding.codes and (finding.kind in {Kind.ENDPOINT, Kind.RESPONSE} or len(finding.codes) > 1):
        for code in finding.codes:
            yield _status_scenario(finding, code)
    elif finding.kind is Kind.ENDPOINT and finding.endpoint:
        answer = _step(finding, "Then", "the response status is below 400")
        yield _scenario(finding, finding.text, (*_request(finding, "When"), answer))
    else:
        told = signals.story(finding.statement)
        yield _scenario(
            finding, told[1].removeprefix("to ") if told else finding.statement, tuple(_spoken_steps(finding))
        )


def scenarios_of(findings: Sequence[Finding]) -> Iterator[Scenario]:
    """The scenarios of all these findings, in their order.

    Where one finding lists the statuses of an endpoint and another describes one of them, the latter has the
    scenario, tagged with the ids of both.
    """
    described = {
        (finding.endpoint, code): finding
        for finding in findings
        if finding.kind is Kind.RESPONSE
        for code in finding.codes
    }
    listed_by: dict[Finding, set[str]] = {}
    left: dict[Finding, tuple[int, ...]] = {}
    for finding in findings:
        if finding.kind is Kind.ENDPOINT and finding.codes:
            elsewhere = [
                described[finding.endpoint, code] for code in finding.codes if (finding.endpoint, code) in described
            ]
            for other in elsewhere:
                listed_by.setdefault(other, set()).add(finding.id)
            left[finding] = tuple(code for code in finding.codes if (finding.endpoint, code) not in described)
    for finding in findings:
        codes = left.get(finding, finding.codes)
        if codes or not finding.codes:
            mentions = finding.mentions | listed_by.get(finding, set())
            yield from scenarios_for(msgspec.structs.replace(finding, codes=codes, mentions=mentions))


def unique_names(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """The same scenarios; a name that came before gets a number."""
    seen: set[str] = set()
    unique = []
    for scenario in scenarios:
        name, number = scenario.name, 2
        while name in seen:
            name, number = f"{scenario.name} ({number})", number + 1
        seen.add(name)
        unique.append(msgspec.structs.replace(scenario, name=name))
    return unique


def gherkin(scenarios: Sequence[Scenario]) -> str:
    """One feature with these scenarios (they share it) as Gherkin text; comments name the line of what follows."""
    feature = scenarios[0].feature
    lines = [f"# Source: {feature.source}", f"Feature: {clip(one_line(feature.name), _NAME_LIMIT)}"]
    for scenario in scenarios:
        lines.append("")
        if scenario.source:
            lines.append(f"  # Source: {scenario.source} — {clip(one_line(scenario.quote))}")
        lines.append(f"  {' '.join(f'@{tag}' for tag in scenario.tags)}")
        lines.append(f"  Scenario: {scenario.name}")
        last = scenario.source
        for step in scenario.steps:
            if step.source != last:
                lines.append(f"    # Source: {step.source}")
            lines.append(f"    {step.keyword} {step.text}")
            last = step.source
    return "\n".join(lines) + "\n"


def _told_shortly(finding: Finding) -> str:
    if finding.kind is Kind.SCENARIO:
        return finding.text
    said = {step.keyword: step.text for step in finding.steps}
    return f"{said['Then']} when {said['When']}"


def _scenario(finding: Finding, title: str, steps: tuple[Step, ...]) -> Scenario:
    name = clip(f"{finding.id}: {one_line(title).rstrip(_CLOSING)}", _NAME_LIMIT)
    tags = dict.fromkeys(
        _TAG.sub("-", tag) for tag in (finding.id, *sorted(finding.mentions | finding.above), finding.priority)
    )
    within = tuple(Step(step.keyword, clip(step.text, STEP_LIMIT), step.source) for step in steps)
    return Scenario(
        name=name, feature=finding.feature, steps=within, source=finding.source, quote=finding.text, tags=tuple(tags)
    )


def _status_scenario(finding: Finding, code: int) -> Scenario:
    alone = len(finding.codes) == 1
    under, outcome = signals.condition(finding.statement if alone else signals.clause_of(code, finding.statement))
    told = outcome.startswith(str(code))
    steps = [_step(finding, "Given", under[1])] if under else []
    steps += _request(finding, "When") or [_step(finding, "When", f"a client uses “{finding.feature.name}”")]
    steps.append(_step(finding, "Then", f"the response is {outcome}" if told else f"the response status is {code}"))
    title = f"{finding.endpoint or finding.feature.name} answers {code} {signals.reason(code)}"
    return _scenario(finding, f"{title} when {under[1]}" if under else title, tuple(steps))


def _request(finding: Finding, keyword: str) -> list[Step]:
    """The request that a finding is about; it comes from the line that names the endpoint."""
    if finding.endpoint is None:
        return []
    return [Step(keyword, f"a client sends {finding.endpoint}", finding.endpoint_source or finding.source)]


def _spoken_steps(finding: Finding) -> Iterator[Step]:
    told = signals.story(finding.statement)
    if told:
        role, wish, benefit = told
        yield _step(finding, "Given", f"I am {role}")
        yield _step(finding, "When", f"I {wish.removeprefix('to ')}" if wish.startswith("to ") else f"I want {wish}")
        yield _step(finding, "Then", benefit or f"I get what I want: {wish}")
        return
    under, outcome = signals.condition(finding.statement)
    if under:
        yield _step(finding, *under)
    yield from _request(finding, "And" if under and under[0] == "When" else "When")
    yield _step(finding, "Then", _inside(outcome))


def _inside(sentence: str) -> str:
    """The sentence as it reads after a keyword."""
    return _ARTICLES.sub(lambda match: match.group().lower(), sentence.rstrip(_CLOSING))


def _step(finding: Finding, keyword: str, text: str) -> Step:
    return Step(keyword, text, finding.source)
