"""Request -> chat messages, as the prompts promise them: each document with its path and numbered lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from orchestrator.ports import Context, ModelRequest
from orchestrator.records import Artifact, Document

_LINE_END = re.compile(r"\r\n|\r|\n")

Message = dict[str, str]


def messages_of(request: ModelRequest) -> list[Message]:
    """The instructions as the system's message; documents, earlier artifacts and what is missing as the user's.

    Lines are numbered from 1, as an editor does. Each begins with its number, so that no line of a document can be
    taken for the frame round it.
    """
    return [
        {"role": "system", "content": request.instructions},
        {"role": "user", "content": "\n\n".join(_parts(request.context))},
    ]


def _parts(context: Context) -> Iterator[str]:
    for document in context.documents:
        yield _framed_document(document)
    for artifact in context.earlier:
        yield _framed_artifact(artifact)
    if context.omitted:
        names = "\n".join(f"- {name}" for name in context.omitted)
        yield f"<not_shown>\nThis did not fit, so that you cannot read it. Do not guess at it:\n{names}\n</not_shown>"
    yield "Now do your task. Answer in the form that your instructions ask for, and with nothing else."


def _framed_document(document: Document) -> str:
    lines = _LINE_END.split(document.text.removeprefix("\ufeff"))
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, start=1))
    return f'<document path="{escape(document.path)}">\n{numbered}\n</document>'


def _framed_artifact(artifact: Artifact) -> str:
    attributes = f'agent="{escape(artifact.agent_type)}" title="{escape(artifact.title)}"'
    return f"<artifact {attributes}>\n{artifact.content.rstrip()}\n</artifact>"
