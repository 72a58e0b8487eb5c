"""Documents and earlier artifacts -> the context an agent reads, within a token limit."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.ports import Context, ModelRequest
from orchestrator.records import Artifact, Document

BYTES_PER_TOKEN = 4
"""What English text and code come to with the usual tokenizers, roughly. In UTF-8 other scripts come near it, too:
their characters have more bytes and cost more tokens."""
EARLIER_SHARE = 2
"""Earlier artifacts may take one part in so many of the limit; the documents they were made from need the rest."""
_LINE_NUMBER_TOKENS = 2


def estimated_tokens(text: str) -> int:
    """How many tokens the text is about; rounded up, so that no text is free."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def request_tokens(request: ModelRequest) -> int:
    """About how many tokens a model reads: instructions, documents and earlier artifacts."""
    context = request.context
    texts = [document.text for document in context.documents] + [artifact.content for artifact in context.earlier]
    return estimated_tokens(request.instructions) + sum(map(estimated_tokens, texts))


def build_context(
    documents: Sequence[Document], earlier: Sequence[Artifact] = (), token_limit: int | None = None
) -> Context:
    """The documents in path order and the earlier artifacts as given, within about ``token_limit`` tokens.

    Nothing is cut in the middle; what does not fit is named in ``omitted``. Earlier artifacts come first, the newest
    before the others, as long as all of them take at most half of the limit; then every document that still fits, in
    path order. The numbers of lines count. None means no limit.
    """
    in_order = sorted(documents, key=lambda document: document.path)
    if token_limit is None:
        return Context(documents=tuple(in_order), earlier=tuple(earlier))
    read = _newest_that_fit(earlier, token_limit // EARLIER_SHARE)
    omitted = [
        f"artifact “{artifact.title}” of {artifact.agent_type}" for artifact in earlier if artifact not in read
    ]
    left = token_limit - sum(estimated_tokens(artifact.content) for artifact in read)
    taken: list[Document] = []
    for document in in_order:
        tokens = _numbered_tokens(document.text)
        if tokens <= left:
            taken.append(document)
            left -= tokens
        else:
            omitted.append(document.path)
    return Context(documents=tuple(taken), earlier=tuple(read), omitted=tuple(omitted))


def _newest_that_fit(earlier: Sequence[Artifact], limit: int) -> list[Artifact]:
    """Those that fit, in the order they were given in."""
    read: list[Artifact] = []
    for artifact in reversed(earlier):
        tokens = estimated_tokens(artifact.content)
        if tokens <= limit:
            read.insert(0, artifact)
            limit -= tokens
    return read


def _numbered_tokens(text: str) -> int:
    return estimated_tokens(text) + _LINE_NUMBER_TOKENS * (text.count("\n") + 1)
