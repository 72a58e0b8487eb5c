"""Findings -> the QA consultant's artifact: checklists and Gherkin by feature, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.llm.offline import signals
from orchestrator.llm.offline.findings import Finding, Findings
from orchestrator.llm.offline.scenarios import Scenario, gherkin, scenarios_of, unique_names
from orchestrator.llm.offline.sections import (
    LOOKED_FOR,
    Section,
    bullets,
    grouped,
    left_out_notes,
    read_notes,
    within_bounds,
)
from orchestrator.llm.offline.wording import clip, code, counted, markdown


def checklist(
    findings: Findings, chosen: Sequence[Finding], basis: str, gaps: Mapping[str, str], untraced: Sequence[str] = ()
) -> list[Section]:
    """The artifact in sections, for the ``chosen`` findings.

    ``basis`` says in words where they were chosen from; ``gaps`` what an earlier matrix says is not covered yet, by
    id; ``untraced`` are rows of that matrix whose line is in none of the documents.
    """
    if not chosen:
        return [_nothing_found(findings, basis, untraced)]
    kept, left_out = within_bounds(chosen)
    groups = grouped((finding.feature, finding) for finding in kept)
    named = unique_names(scenarios_of([finding for group in groups for finding in group]))
    by_feature = {scenarios[0].feature: scenarios for scenarios in grouped((told.feature, told) for told in named)}
    title = (
        f"# Test checklists: {counted(len(kept), 'check')} and {counted(len(named), 'scenario')} "
        f"in {counted(len(groups), 'feature')}\n\n{markdown(basis)}\n\n"
    )
    return [
        Section("Writing the summary", title),
        *(_feature(group, by_feature.get(group[0].feature, ()), gaps) for group in groups),
        _end(findings, left_out, untraced),
    ]


def _nothing_found(findings: Findings, basis: str, untraced: Sequence[str]) -> Section:
    looked = "".join(f"- {markdown(pattern)}\n" for pattern in LOOKED_FOR)
    return Section(
        "Saying that nothing was found",
        f"# Test checklists: nothing to test was found\n\n{markdown(basis)}\n\n"
        f"## Looked for\n\n{looked}\n{_end(findings, (), untraced).text}",
    )


def _feature(group: Sequence[Finding], scenarios: Sequence[Scenario], gaps: Mapping[str, str]) -> Section:
    feature = group[0].feature
    checks = "".join(_check(finding, gaps.get(finding.id, "")) for finding in group)
    head = f"## {markdown(clip(feature.name, 110))}\n\nSource: {code(str(feature.source))}\n\n"
    text = f"{head}### Checklist\n\n{checks}\n"
    if scenarios:
        text += f"### Scenarios\n\n```gherkin\n{gherkin(scenarios)}```\n\n"
    return Section(f"Writing {clip(feature.name, 60)}: {counted(len(scenarios), 'scenario')}", text)


def _check(finding: Finding, gap: str) -> str:
    where = code(str(finding.source))
    said = ", ".join(f"{step.keyword} {step.text}" for step in finding.steps) or finding.statement
    lines = [f"- [ ] **{markdown(finding.id)}** ({finding.priority}): {markdown(clip(said))} · {where}\n"]
    lines += [f"  - [ ] {markdown(clip(more))} · {where}\n" for more in _closer(finding)]
    if gap:
        lines.append(f"  - Not covered yet, says the matrix: {markdown(clip(gap))} · {where}\n")
    return "".join(lines)


def _closer(finding: Finding) -> Iterator[str]:
    """What to try around a finding, in the words of its line."""
    for status in finding.codes:
        whom = finding.endpoint or finding.feature.name
        yield f"{whom} answers {status} ({signals.reason(status)})"
    for limit in finding.limits:
        yield f"Boundary “{limit}”: just below, exactly at, just above"
    under, outcome = signals.condition(finding.statement)
    if under and not finding.steps:
        yield f"Converse: when it does not hold that “{under[1]}”, is “{outcome.rstrip(' .')}” not so?"
    if signals.forbids(finding.statement):
        yield f"Negative: try to break “{finding.statement.rstrip(' .')}”"


def _end(findings: Findings, left_out: Sequence[Finding], untraced: Sequence[str]) -> Section:
    text = ""
    if left_out:
        text += f"## Left out to keep this readable\n\n{bullets(left_out_notes(left_out))}\n"
    if untraced:
        rows = "".join(f"- {markdown(clip(row))}\n" for row in untraced)
        text += f"## Rows of the matrix whose line is in none of the documents read\n\n{rows}\n"
    return Section("Writing what was read", f"{text}## Read\n\n{bullets(read_notes(findings))}")
