"""Code whose parts are marked, whatever it is."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.material.highlighting import LANGUAGES, highlight

GHERKIN = """\
# Source: shop.md:3 — "quoted"
Feature: Paying
  @REQ-1 @must
  Scenario Outline: by <kind>
    Given the customer "anna" has 42 items
    * she is signed in
    Then Given is no keyword here, nor a@b a tag
    Examples:
      | kind |
"""
TYPESCRIPT = """\
// shop.md:3
import { test } from "@playwright/test";
/* of
   two lines */
test.step('it\\'s', async () => { const a = `x ${b("c")}`; return 1.5e3; });
const tests = important.for(2);
"""


def marked(code: str, language: str) -> list[tuple[str, str]]:
    """What is marked as what."""
    spans = re.findall(r'<span class="(\w+)">(.*?)</span>', highlight(code, language), re.DOTALL)
    return [(name, html.unescape(text).strip()) for name, text in spans]


def test_gherkin_parts_are_marked() -> None:
    """Comments, tags, keywords at the start of a line, strings, variables, numbers and the bars of tables."""
    assert marked(GHERKIN, "gherkin") == [
        ("comment", '# Source: shop.md:3 — "quoted"'),
        ("keyword", "Feature:"),
        ("tag", "@REQ-1"), ("tag", "@must"),
        ("keyword", "Scenario Outline:"), ("variable", "<kind>"),
        ("keyword", "Given"), ("string", '"anna"'), ("number", "42"),
        ("keyword", "*"),
        ("keyword", "Then"),
        ("keyword", "Examples:"),
        ("punctuation", "|"), ("punctuation", "|"),
    ]  # fmt: skip


def test_typescript_parts_are_marked() -> None:
    """Comments, strings of three kinds, keywords that stand alone, numbers, and what is called."""
    assert marked(TYPESCRIPT, "TypeScript") == [
        ("comment", "// shop.md:3"),
        ("keyword", "import"), ("keyword", "from"), ("string", '"@playwright/test"'),
        ("comment", "/* of\n   two lines */"),
        ("name", "step"), ("string", "'it\\'s'"), ("keyword", "async"), ("keyword", "const"),
        ("string", '`x ${b("c")}`'), ("keyword", "return"), ("number", "1.5e3"),
        ("keyword", "const"), ("name", "for"), ("number", "2"),
    ]  # fmt: skip


@given(st.text(st.sampled_from("\"'`/*\\\n <>&|@#{}$a1:\0\u202e")), st.sampled_from([*LANGUAGES, "", "cobol"]))
def test_any_code_stays_what_it_is(code: str, language: str) -> None:
    """Without the tags that are put in it is the code, character for character, and nothing in it is a tag."""
    without_tags = re.sub(r'<span class="[a-z]+">|</span>', "", highlight(code, language))
    assert "<" not in without_tags
    assert html.unescape(without_tags) == code


@pytest.mark.timeout(20)
@pytest.mark.parametrize("language", ["gherkin", "typescript"])
@pytest.mark.parametrize(
    "unit", ['"\\', '"', "'", "`", "`${", "/*", "/", "*/", " ", "\n", "<", " |", "@", "a", "1.", "$", "\\"]
)
def test_endless_code_takes_a_time_in_proportion(unit: str, language: str) -> None:
    """Nothing that can be repeated makes it read again: 60 000 characters, and the test has a time limit."""
    highlight(unit * (60_000 // len(unit)) + "x", language)
