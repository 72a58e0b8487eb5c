"""How far an answer is, told while nobody knows how long it will be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.llm.openai_compatible.estimate import AnswerProgress, expected_tokens
from orchestrator.ports import ModelProgress

PIECES = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.sampled_from([1, 50, 4000])), max_size=40)


def test_before_the_first_token_the_model_is_waited_for() -> None:
    """Nothing has come: zero, and whom the agent waits for."""
    assert AnswerProgress("llama", 500).newest == ModelProgress(0, "Waiting for llama to answer")


def test_thinking_is_told_apart_from_writing_and_counts_as_progress() -> None:
    """Thoughts move the percentage and are called so; with the first word of the answer only its length is told."""
    progress = AnswerProgress("m", 500)
    assert progress.add("", "x" * 400)
    assert progress.newest.label == "Thinking: ~100 tokens"
    thinking = progress.newest.percent
    assert thinking > 0
    progress.add("x" * 1680, "")
    assert progress.newest.label == "Writing: ~420 tokens"
    assert progress.newest.percent > thinking
    assert progress.tokens == 520


def test_expected_length_is_most_of_the_way() -> None:
    """An answer as long as expected stands at 82 %: the rest is for those that are longer."""
    progress = AnswerProgress("m", 500)
    progress.add("x" * 2000, "")
    assert progress.newest.percent == 82


def test_nothing_new_is_not_told() -> None:
    """A piece that changes neither percentage nor label is no news."""
    progress = AnswerProgress("m", 5000)
    assert progress.add("abc", "")
    assert not progress.add("d", "")


@given(PIECES, st.integers(1, 100_000))
def test_any_answer_never_falls_and_never_passes_95(pieces: list[tuple[str, str, int]], expected: int) -> None:
    """Whatever comes in whatever order, the percentage goes up only, and the end is not told before it is there."""
    progress = AnswerProgress("m", expected)
    percents = [progress.newest.percent]
    for text, thought, times in pieces:
        progress.add(text * times, thought * times)
        percents.append(progress.newest.percent)
    assert all(before <= after for before, after in pairwise(percents))
    assert percents[-1] <= 95


@pytest.mark.parametrize(("asked", "limit", "expected"), [(100, 9000, 500), (6000, 9000, 3000), (10**6, 9000, 9000)])
def test_expected_length_follows_what_is_read(asked: int, limit: int, expected: int) -> None:
    """Half of what is read, at least a page, at most what is allowed."""
    assert expected_tokens(asked, limit) == expected
