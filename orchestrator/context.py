"""Documents -> the context an agent reads, within a token limit."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.ports import Context
from orchestrator.records import Artifact, Document

CHARACTERS_PER_TOKEN = 4
"""What English text and code come to with the usual tokenizers, roughly."""


def estimated_tokens(characters: int) -> int:
    """How many tokens that much text is about; rounded up, so that no text is free."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def build_context(
    documents: Sequence[Document], earlier: Sequence[Artifact] = (), token_limit: int | None = None
) -> Context:
    """The documents in path order and the earlier artifacts as given, within about ``token_limit`` tokens.

    Nothing is cut in the middle. Earlier artifacts always stay and count first; then every document that still fits
    is taken, in path order, and each that does not is named in ``omitted``. None means no limit.
    """
    in_order = sorted(documents, key=lambda document: document.path)
    if token_limit is None:
        return Context(documents=tuple(in_order), earlier=tuple(earlier))
    left = token_limit - sum(estimated_tokens(len(artifact.content)) for artifact in earlier)
    taken: list[Document] = []
    omitted: list[str] = []
    for document in in_order:
        tokens = estimated_tokens(len(document.text))
        if tokens <= left:
            taken.append(document)
            left -= tokens
        else:
            omitted.append(document.path)
    return Context(documents=tuple(taken), earlier=tuple(earlier), omitted=tuple(omitted))
