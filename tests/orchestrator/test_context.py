"""The context that an agent reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline_checks import artifact, document

from orchestrator.context import build_context, estimated_tokens


def test_documents_without_limit_all_in_path_order() -> None:
    """Without a limit nothing is omitted, and the order is that of the paths, whatever it was."""
    context = build_context([document("b.md", "b" * 900), document("a.md", "a")])
    assert [each.path for each in context.documents] == ["a.md", "b.md"]
    assert context.omitted == ()


def test_document_beyond_limit_omitted_whole_and_named() -> None:
    """A document that does not fit is not cut but left out by name, and a later smaller one still comes along."""
    documents = [document("a.md", "a" * 40), document("b.md", "b" * 4000), document("c.md", "c" * 40)]
    context = build_context(documents, token_limit=20)
    assert [each.path for each in context.documents] == ["a.md", "c.md"]
    assert context.omitted == ("b.md",)
    assert context.documents[0].text == "a" * 40


def test_earlier_artifacts_count_first_and_stay() -> None:
    """Artifacts of agents before are never dropped; the documents share what they leave."""
    earlier = [artifact("ba_consultant", "m" * 40)]
    context = build_context([document("a.md", "a" * 40)], earlier, token_limit=15)
    assert context.earlier == tuple(earlier)
    assert context.documents == ()
    assert context.omitted == ("a.md",)


@pytest.mark.parametrize(("characters", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_estimated_tokens_rounded_up(characters: int, tokens: int) -> None:
    """No text is free: four characters are a token, and a part of one counts whole."""
    assert estimated_tokens(characters) == tokens


@given(st.lists(st.integers(0, 200), max_size=12), st.integers(0, 120))
def test_any_documents_kept_within_limit_and_none_lost(sizes: list[int], limit: int) -> None:
    """Whatever the sizes, what is kept fits the limit, and every document is either kept or named."""
    documents = [document(f"{number:02}.md", "x" * size) for number, size in enumerate(sizes)]
    context = build_context(documents, token_limit=limit)
    assert sum(estimated_tokens(len(each.text)) for each in context.documents) <= limit
    assert {*context.omitted, *(each.path for each in context.documents)} == {each.path for each in documents}
    assert len(context.omitted) + len(context.documents) == len(documents)
