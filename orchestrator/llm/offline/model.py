"""The offline model: the rules of this package behind the port of a language model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from orchestrator.context import estimated_tokens, request_tokens
from orchestrator.errors import ModelError
from orchestrator.llm.offline.checklist import checklist
from orchestrator.llm.offline.earlier import Lines, ideas_in, matrix_rows, scenarios_in
from orchestrator.llm.offline.findings import DocumentFindings, Finding, Findings, merged
from orchestrator.llm.offline.matrix import matrix
from orchestrator.llm.offline.reading import read_document
from orchestrator.llm.offline.scenarios import scenarios_of, unique_names
from orchestrator.llm.offline.scripts import scripts
from orchestrator.llm.offline.sections import Section, left_out_notes, within_bounds
from orchestrator.llm.offline.side_work import SideWork
from orchestrator.llm.offline.wording import counted, one_line
from orchestrator.ports import Clock, Context, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage
from orchestrator.records import Artifact

_READ_BY = 60
_WRITTEN_BY = 99


class OfflineModel:
    """Answers by rules, from nothing but the documents and artifacts of the request; it needs no network.

    The same request always gives the same text. ``pace_s`` spreads the work of one request evenly over about that
    many seconds, so that people can watch it; with 0 it takes as long as it takes. The event loop is never held:
    reading and writing happen in threads, and other tasks get their turn after every document and every section.

    Tokens are estimated at four bytes each, over what is read (instructions, documents, earlier artifacts) and
    what is written.
    """

    def __init__(self, clock: Clock, pace_s: float = 0.0) -> None:
        self._clock = clock
        self._pace_s = pace_s
        self._beside = SideWork()

    @property
    def name(self) -> str:
        """Always ``offline``."""
        return "offline"

    def estimate(self, request: ModelRequest) -> int:
        """What is read, and an answer of at most about twice as much."""
        return 3 * request_tokens(request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """The answer in order: progress for each document and section, the text in parts, the usage, the end.

        The percentage never falls and stays below 100. Cancelling between any two parts leaves nothing behind.

        Raises:
            ModelError: there are no rules for the agent of this request.

        """
        write = _WRITERS.get(request.agent_type)
        if write is None:
            raise ModelError(f"No rules for agent {request.agent_type!r}; expected one of {', '.join(_WRITERS)}.")
        context, read = request.context, list[DocumentFindings]()
        total = len(context.documents)
        for number, document in enumerate(context.documents, start=1):
            path = one_line(document.path)
            yield ModelProgress(_READ_BY * (number - 1) // total, f"Reading {path} ({number} of {total})")
            read.append(await self._beside.do(read_document, document.path, document.text))
            await self._pause(0.6 / total)
            found = counted(len(read[-1].found), "finding")
            yield ModelProgress(_READ_BY * number // total, f"Read {path}: {found} ({number} of {total})")
        sections = await self._beside.do(write, context, read)
        written = 0
        for number, section in enumerate(sections):
            yield ModelProgress(_READ_BY + (_WRITTEN_BY - _READ_BY) * number // len(sections), section.label)
            await self._pause((0.4 if total else 1.0) / len(sections))
            yield ModelText(section.text)
            written += estimated_tokens(section.text)
        yield ModelUsage(request_tokens(request) + written)

    async def _pause(self, share: float) -> None:
        if self._pace_s > 0:
            await self._clock.sleep(self._pace_s * share)
        else:
            await asyncio.sleep(0)


def _write_matrix(context: Context, read: Sequence[DocumentFindings]) -> list[Section]:
    told = _artifact_of("qa_consultant", context)
    ideas = ideas_in(told, Lines(context.documents)) if told else []
    return matrix(merged(read, context.omitted), ideas)


def _write_checklist(context: Context, read: Sequence[DocumentFindings]) -> list[Section]:
    findings = merged(read, context.omitted)
    chosen, basis, gaps, untraced = _chosen(context, findings)
    return checklist(findings, chosen, basis, gaps, untraced)


def _write_scripts(context: Context, read: Sequence[DocumentFindings]) -> list[Section]:
    findings = merged(read, context.omitted)
    artifact = _artifact_of("qa_consultant", context)
    told = scenarios_in(artifact, Lines(context.documents)) if artifact else []
    if artifact and told:
        basis = f"One test for each of {counted(len(told), 'scenario')} in “{artifact.title}”."
        return scripts(findings, told, basis)
    chosen, basis, _, _ = _chosen(context, findings)
    kept, left_out = within_bounds(chosen)
    notes = [f"{where}: {said}" for where, said in left_out_notes(left_out)]
    return scripts(findings, unique_names(scenarios_of(kept)), basis, notes)


def _chosen(context: Context, findings: Findings) -> tuple[Sequence[Finding], str, Mapping[str, str], Sequence[str]]:
    """What to work on: exactly the rows of an earlier coverage matrix, else everything in the documents."""
    artifact = _artifact_of("ba_consultant", context)
    if artifact is None:
        return findings.found, "From the documents alone.", {}, ()
    rows, untraced = matrix_rows(artifact, findings, Lines(context.documents))
    if not rows:
        return findings.found, f"From the documents: “{artifact.title}” has no rows to go by.", {}, untraced
    basis = f"From “{artifact.title}”: {counted(len(rows) + len(untraced), 'row')}, {len(rows)} of them covered here."
    listed = {row.finding.id for row in rows}
    beyond = sum(finding.id not in listed for finding in findings.found)
    if beyond:
        basis += f" The documents hold {counted(beyond, 'finding')} that it does not list."
    return [row.finding for row in rows], basis, {row.finding.id: row.gap for row in rows}, untraced


def _artifact_of(agent_type: str, context: Context) -> Artifact | None:
    return next((artifact for artifact in context.earlier if artifact.agent_type == agent_type), None)


_WRITERS: Mapping[str, Callable[[Context, Sequence[DocumentFindings]], list[Section]]] = {
    "ba_consultant": _write_matrix,
    "qa_consultant": _write_checklist,
    "automation_consultant": _write_scripts,
}
