"""Findings -> the business analyst's requirements coverage matrix, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestrator.llm.offline.coverage import NO_IDEA, Coverage, Idea, coverage, idea_of
from orchestrator.llm.offline.findings import Finding, Findings, Kind, Source
from orchestrator.llm.offline.sections import LOOKED_FOR, Section, bullets, left_out_notes, read_notes, within_bounds
from orchestrator.llm.offline.signals import Priority
from orchestrator.llm.offline.wording import clip, code, counted, markdown

_SHOWN = 6
_QUESTION_LIMIT = 100


def matrix(findings: Findings, earlier: Sequence[Idea] = ()) -> list[Section]:
    """The artifact in sections. ``earlier`` are test ideas from artifacts that came before."""
    if not findings.found:
        return [_nothing_found(findings)]
    wanted, left_out = within_bounds(findings.wanted)
    ideas, ideas_left_out = within_bounds(findings.ideas)
    covered = coverage(wanted, [*map(idea_of, findings.ideas), *earlier])
    sections = [_summary(findings, covered), _requirements(covered, left_out)]
    if ideas:
        sections.append(_ideas(ideas, ideas_left_out, covered))
    open_rows = [row for row in covered if row.gaps]
    if open_rows:
        sections.append(_open_rows(open_rows))
    questions = [question for document in findings.documents for question in document.questions]
    if questions:
        sections.append(_questions(questions))
    return [*sections, _read(findings)]


def _nothing_found(findings: Findings) -> Section:
    looked = "".join(f"- {markdown(pattern)}\n" for pattern in LOOKED_FOR)
    return Section(
        "Saying that nothing was found",
        "# Requirements coverage matrix: no requirements found\n\n"
        "No line of the documents reads like a requirement, an acceptance criterion or an interface description.\n\n"
        f"## Looked for\n\n{looked}\n{_read(findings).text}",
    )


def _summary(findings: Findings, covered: Sequence[Coverage]) -> Section:
    bare = sum(NO_IDEA in row.gaps for row in covered)
    partly = sum(bool(row.gaps) for row in covered) - bare
    kinds = Counter(finding.kind for finding in findings.found)
    weights = Counter(row.finding.priority for row in covered)
    found = ", ".join(counted(kinds[kind], kind) for kind in Kind if kinds[kind])
    insisted = ", ".join(f"{weights[priority]} {priority}" for priority in Priority if weights[priority])
    title = f"{counted(len(findings.wanted), 'requirement')}, {bare} without a test idea"
    text = (
        f"# Requirements coverage matrix: {title}\n\n"
        f"Found in {counted(len(findings.documents), 'document')}: {found}.\n\n"
    )
    if covered:
        text += (
            f"Listed: {insisted}. Touched by a test idea throughout: {len(covered) - bare - partly}; "
            f"in part: {partly}; by none: {bare}.\n\n"
        )
    return Section("Writing the summary", text)


def _requirements(covered: Sequence[Coverage], left_out: Sequence[Finding]) -> Section:
    if not covered:
        return Section(
            "Writing the matrix", "The documents have test ideas, but nothing that they could be ideas for.\n\n"
        )
    rows = [
        _row(
            row.finding.id,
            markdown(clip(_shown(row.finding))),
            row.finding.priority,
            markdown(clip(row.finding.feature.name, 80)),
            _sources(row.finding),
            markdown(_names(row.ideas)) or "—",
            markdown("; ".join(row.gaps)) or "—",
        )
        for row in covered
    ]
    head = _head("ID", "Requirement", "Priority", "Section", "Source", "Covered by", "Not covered yet")
    text = f"## Requirements\n\n{head}{''.join(rows)}\n{_remarks(left_out)}"
    return Section(f"Writing {counted(len(rows), 'matrix row')}", text)


def _ideas(ideas: Sequence[Finding], left_out: Sequence[Finding], covered: Sequence[Coverage]) -> Section:
    covers: dict[str, list[str]] = {idea.id: [] for idea in ideas}
    for row in covered:
        for name in covers.keys() & row.ideas:
            covers[name].append(row.finding.id)
    rows = [
        _row(
            idea.id,
            markdown(clip(_shown(idea))),
            markdown(clip(idea.feature.name, 80)),
            _sources(idea),
            markdown(_names(covers[idea.id])) or "nothing that is listed",
        )
        for idea in ideas
    ]
    head = _head("ID", "Criterion", "Section", "Source", "Covers")
    text = f"## Acceptance criteria and scenarios\n\n{head}{''.join(rows)}\n{_remarks(left_out)}"
    return Section(f"Writing {counted(len(rows), 'criterion')}", text)


def _open_rows(rows: Sequence[Coverage]) -> Section:
    ranked = sorted(rows, key=lambda row: list(Priority).index(row.finding.priority))
    lines = [
        f"- **{markdown(row.finding.id)}** ({row.finding.priority}): {markdown('; '.join(row.gaps))} · "
        f"{markdown(clip(_shown(row.finding), 120))} · {code(str(row.finding.source))}\n"
        for row in ranked
    ]
    return Section("Writing what is not covered yet", f"## Not covered yet\n\n{''.join(lines)}\n")


def _questions(questions: Sequence[tuple[str, Source]]) -> Section:
    lines = [f"- {markdown(clip(text))} · {code(str(source))}\n" for text, source in questions[:_QUESTION_LIMIT]]
    more = len(questions) - len(lines)
    rest = (
        f"\n{counted(more, 'more open point')} from {code(str(questions[_QUESTION_LIMIT][1]))} on.\n" if more else ""
    )
    return Section("Writing open points", f"## Left open in the documents\n\n{''.join(lines)}{rest}\n")


def _read(findings: Findings) -> Section:
    return Section("Writing what was read", f"## Read\n\n{bullets(read_notes(findings))}")


def _shown(finding: Finding) -> str:
    if finding.steps and finding.kind is Kind.SCENARIO:
        said = ", ".join(f"{step.keyword} {step.text}" for step in finding.steps)
        return said if said.startswith(finding.text) else f"{finding.text}: {said}"
    return finding.statement


def _sources(finding: Finding) -> str:
    shown = [finding.source, *finding.also][:_SHOWN]
    more = len(finding.also) + 1 - len(shown)
    return ", ".join(code(str(source)) for source in shown) + (f" and {more} more" if more else "")


def _names(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(clip(name, 60) for name in names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _remarks(left_out: Sequence[Finding]) -> str:
    return f"Left out to keep this readable:\n\n{bullets(left_out_notes(left_out))}\n" if left_out else ""


def _head(*titles: str) -> str:
    return _row(*titles) + _row(*("---" for _ in titles))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"
