"""The context that an agent reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline_checks import artifact, document

from orchestrator.context import build_context, estimated_tokens, request_tokens
from orchestrator.ports import ModelRequest

SIZES = st.lists(st.integers(0, 200), max_size=12)


def test_documents_without_limit_all_in_path_order() -> None:
    """Without a limit nothing is omitted, and the order is that of the paths, whatever it was."""
    context = build_context([document("b.md", "b" * 900), document("a.md", "a")])
    assert [each.path for each in context.documents] == ["a.md", "b.md"]
    assert context.omitted == ()


def test_document_beyond_limit_omitted_whole_and_named() -> None:
    """A document that does not fit is not cut but left out by name, and a later smaller one still comes along."""
    documents = [document("a.md", "a" * 40), document("b.md", "b" * 4000), document("c.md", "c" * 40)]
    context = build_context(documents, token_limit=24)
    assert [each.path for each in context.documents] == ["a.md", "c.md"]
    assert context.omitted == ("b.md",)
    assert context.documents[0].text == "a" * 40


def test_line_numbers_count() -> None:
    """Of two documents of the same length, the one with more lines takes more, as each line is sent with a number."""
    assert build_context([document("a.md", "x" * 40)], token_limit=15).omitted == ()
    assert build_context([document("a.md", "x\n" * 20)], token_limit=15).omitted == ("a.md",)


def test_earlier_artifacts_come_first_and_documents_share_the_rest() -> None:
    """What agents before have made is read before the documents, which have what it leaves."""
    earlier = [artifact("ba_consultant", "m" * 40)]
    context = build_context([document("a.md", "a" * 40)], earlier, token_limit=21)
    assert context.earlier == tuple(earlier)
    assert context.documents == ()
    assert context.omitted == ("a.md",)


def test_earlier_artifact_beyond_half_of_the_limit_omitted_and_named() -> None:
    """A huge artifact does not keep the documents out; it is named like them, by title and agent."""
    earlier = [artifact("ba_consultant", "# Matrix\n" + "m" * 4000)]
    context = build_context([document("a.md", "a" * 40)], earlier, token_limit=100)
    assert [each.path for each in context.documents] == ["a.md"]
    assert context.earlier == ()
    assert context.omitted == ("artifact “Matrix” of ba_consultant",)


def test_newest_earlier_artifact_stays_longest_and_order_stays() -> None:
    """Where not all earlier artifacts fit, the newest is kept, as it is made from the others."""
    first, second, third = (artifact(name, f"# {name}\n" + "m" * 40) for name in ("one", "two", "three"))
    context = build_context([], [first, second, third], token_limit=60)
    assert context.earlier == (second, third)
    assert context.omitted == ("artifact “one” of one",)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("aaaa", 1), ("aaaaa", 2), ("язык", 2), ("要求事項", 3)]
)
def test_estimated_tokens_rounded_up_from_bytes(text: str, tokens: int) -> None:
    """Four bytes are a token, and a part of one counts whole; other scripts cost more than English."""
    assert estimated_tokens(text) == tokens


def test_request_tokens_count_everything_that_is_read() -> None:
    """Instructions, documents and earlier artifacts add up."""
    context = build_context([document("a.md", "a" * 40)], [artifact("x", "m" * 8)])
    asked = ModelRequest(tenant="t", agent_type="x", instructions="i" * 4, context=context)
    assert request_tokens(asked) == 1 + 10 + 2


@given(SIZES, SIZES, st.integers(0, 300))
def test_any_material_kept_within_limit_and_none_lost(sizes: list[int], made: list[int], limit: int) -> None:
    """Whatever the sizes, what is kept fits the limit, and every document and artifact is either kept or named."""
    documents = [document(f"{number:02}.md", "x" * size) for number, size in enumerate(sizes)]
    earlier = [artifact(f"agent-{number}", "x" * size) for number, size in enumerate(made)]
    context = build_context(documents, earlier, token_limit=limit)
    texts = [each.text for each in context.documents] + [each.content for each in context.earlier]
    assert sum(map(estimated_tokens, texts)) <= limit
    assert len(context.omitted) + len(texts) == len(documents) + len(earlier)
    named = {each.path for each in context.documents} | {*context.omitted}
    assert {each.path for each in documents} <= named
