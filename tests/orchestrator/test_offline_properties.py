"""Whatever the documents are, artifacts parse and trace."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offline_checks import document, features, pipeline, references, scenarios, syntax_errors, test_titles

from orchestrator.llm.offline.structure import units_of
from orchestrator.llm.offline.wording import lines_of, markdown, one_line, plain

PIECES = st.sampled_from(
    [
        *(
            "must",
            "MUST NOT",
            "should",
            "if ",
            "when ",
            "the cart",
            "As a user, I want x, so that y.",
            "between 1 and 9",
        ),
        *("Given ", "When ", "Then ", "And ", "But ", "Scenario: ", "Feature: ", "Examples:", "Background:", "@tag "),
        *(
            "# ",
            "## ",
            "- ",
            "* ",
            "1. ",
            "  ",
            "    ",
            "```",
            "```gherkin",
            "~~~",
            "<!--",
            "-->",
            "---",
            "===",
            "> ",
        ),
        *("|---|---|", "|", "`", "**", "_", "[a](b)", "<br>", "<id>", "&lt;", "\\", "# language: fr", '"""'),
        *(
            "AC-1.1",
            "FR-2",
            "US-3",
            "R-001",
            "GET /a/{id}",
            "POST /a",
            "`PUT /b`",
            "404",
            "201 Created",
            "status 409",
        ),
        *('"Pay"', "“x”", "${y}", "`${z}`", "*/", "//", "\\n", "TBD", "opens /cart", "clicks", "sees", "at most 3"),
        *(
            "\u2028",
            "\x0c",
            "\x00",
            "\x1f",
            "\ufeff",
            "\u202e",
            "\u200d",
            "日本語。",
            "é",
            "🚀",
            ", ",
            ". ",
            "! ",
            "? ",
            ": ",
        ),
        *("Source: d0.md:1", "# Source: d0.md:1"),
    ]
)
ENDS = st.sampled_from(["\n", "\n", "\n\n", "\r\n", "\r", " "])
SOUP = st.lists(st.tuples(PIECES, ENDS | st.just("")), max_size=60).map(
    lambda found: "".join(a + b for a, b in found)
)
TEXTS = SOUP | st.text(max_size=300)
PATHS = st.sampled_from(
    ["d0.md", "d1.txt", "d 2.md", "d|3.md", "`d4`.md", "d5.feature", "d_6_.md", "d7:1.md", "*/d8.md"]
)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(st.dictionaries(PATHS, TEXTS, min_size=1, max_size=3))
def test_any_documents_pipeline_parses_traces_and_repeats(texts: dict[str, str]) -> None:
    """No document crashes the model; all parses; references are lines; the same again is the same."""
    documents = [document(path, text) for path, text in sorted(texts.items())]
    matrix, checklist, script = asyncio.run(pipeline(documents))
    assert len(features(checklist)) == checklist.count("\n```gherkin\n")
    assert syntax_errors(script) == []
    names = [scenario["name"] for scenario in scenarios(checklist)]
    assert test_titles(script) == names
    assert len(set(names)) == len(names)
    for text in (matrix, checklist, script):
        references(text, documents)
    assert "none of the documents read" not in checklist
    assert (matrix, checklist, script) == asyncio.run(pipeline(documents))


@given(TEXTS)
def test_any_document_units_stand_on_its_lines_in_order(text: str) -> None:
    """Every unit has a line of the document, and one line of text unless it is code."""
    count = len(lines_of(text))
    for unit in units_of("d.md", text):
        assert 1 <= unit.line <= count
        assert unit.cells or unit.language or "\n" not in unit.text or unit.kind.name == "CODE"


@given(st.text(max_size=200))
def test_any_text_markdown_reads_back(text: str) -> None:
    """Escaping for Markdown and reading it back gives the same words on one line."""
    assert plain(markdown(text)) == one_line(text)
