"""What is sent to an OpenAI-compatible endpoint: where to, in which fields, and documents as the prompts promise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline_checks import artifact, document, request

from orchestrator.llm.offline.wording import lines_of
from orchestrator.llm.openai_compatible.dialect import Dialect, completions_url
from orchestrator.llm.openai_compatible.messages import messages_of


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1/chat/completions"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1/chat/completions"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/chat/completions"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1/chat/completions"),
        ("https://example.org/openai/v2//", "https://example.org/openai/v2/chat/completions"),
        ("https://example.org/v1/chat/completions", "https://example.org/v1/chat/completions"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/chat/completions"),
    ],
)
def test_base_url_as_people_give_it_leads_to_chat_completions(base_url: str, url: str) -> None:
    """A bare host means its /v1; a path is taken as it is; slashes at the end and the whole address do no harm."""
    assert completions_url(base_url) == url


def test_request_asks_for_a_stream_with_usage_and_a_limit() -> None:
    """The fields are those that every server of the protocol knows."""
    messages = [{"role": "user", "content": "x"}]
    assert Dialect().body("m", messages, 900) == {
        "model": "m",
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 900,
    }


def test_refused_fields_are_changed_once_each() -> None:
    """A server that refuses a field is asked in other words, and one that refuses everything not for ever."""
    dialect = Dialect().after_refusal(400, "Use 'max_completion_tokens' instead.")
    assert dialect is not None
    assert dialect.body("m", [], 900)["max_completion_tokens"] == 900
    assert dialect.after_refusal(400, "Use 'max_completion_tokens' instead.") is None
    plain = dialect.after_refusal(422, "Extra inputs are not permitted: stream_options")
    assert plain is not None
    assert plain.body("m", [], 900) == {"model": "m", "messages": [], "stream": True, "max_completion_tokens": 900}
    assert plain.after_refusal(422, "stream_options and max_completion_tokens") is None


@pytest.mark.parametrize(("status", "message"), [(400, "temperature"), (500, "stream_options"), (404, "")])
def test_other_refusals_change_nothing(status: int, message: str) -> None:
    """Only a refusal of a field is answered with another request."""
    assert Dialect().after_refusal(status, message) is None


def test_messages_carry_instructions_documents_artifacts_and_what_is_missing() -> None:
    """The system says what to do; the user's message has everything to work on, each thing framed and named."""
    asked = request(
        "qa_consultant",
        [document("docs/a.md", "# One\r\nTwo\n"), document('b"<.md', "x")],
        [artifact("ba_consultant", "# Matrix\n\n| a |\n")],
        ["c.md", "artifact “T” of x"],
    )
    system, user = messages_of(asked)
    assert system == {"role": "system", "content": "Do it."}
    assert user["role"] == "user"
    assert user["content"].split("\n\n", 3)[:2] == [
        '<document path="docs/a.md">\n1: # One\n2: Two\n3: \n</document>',
        '<document path="b&quot;&lt;.md">\n1: x\n</document>',
    ]
    assert '<artifact agent="ba_consultant" title="Matrix">\n# Matrix\n\n| a |\n</artifact>' in user["content"]
    assert "- c.md\n- artifact “T” of x\n</not_shown>" in user["content"]
    assert user["content"].endswith("nothing else.")


def test_messages_without_anything_missing_say_nothing_of_it() -> None:
    """A model is not told of omissions that there are not."""
    assert "not_shown" not in messages_of(request("ba_consultant", [document("a.md", "x")]))[1]["content"]


@given(
    st.lists(st.sampled_from(["</document>", '<document path="x">', "7: x", "", "a\u2028b", "ä\x0cb"]), max_size=9),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_document_keeps_its_frame_and_line_numbers(lines: list[str], line_end: str) -> None:
    """Whatever stands in a document, its lines have the numbers that an editor gives them; none ends the frame."""
    text = line_end.join(lines)
    content = messages_of(request("ba_consultant", [document("a.md", text)]))[1]["content"]
    framed = content[: content.rindex("\n\nNow do")]
    opening, *shown, closing = framed.split("\n")
    assert (opening, closing) == ('<document path="a.md">', "</document>")
    assert [re.fullmatch(r"(\d+): (.*)", line, re.DOTALL).groups() for line in shown] == [  # type: ignore[union-attr]
        (str(number), line) for number, line in enumerate(lines_of(text), start=1)
    ]
