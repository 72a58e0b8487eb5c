"""What the offline model finds in documents, and where."""

from __future__ import annotations

import pytest
from offline_checks import fixtures

from orchestrator.llm.offline import signals
from orchestrator.llm.offline.findings import DocumentFindings, Feature, Finding, Kind, Source, merged
from orchestrator.llm.offline.reading import read_document
from orchestrator.llm.offline.signals import Endpoint, Priority
from orchestrator.llm.offline.wording import code, lines_of, markdown, plain


def read(text: str, path: str = "d.md") -> DocumentFindings:
    """What is found in one document."""
    return read_document(path, text)


def only(text: str, path: str = "d.md") -> Finding:
    """The one finding that there is."""
    (finding,) = read(text, path).found
    return finding


def by_line(name: str) -> dict[int, list[Finding]]:
    """The findings of a document beside these tests, by their lines."""
    (each,) = fixtures(name)
    found: dict[int, list[Finding]] = {}
    for finding in read(each.text, each.path).found:
        found.setdefault(finding.source.line, []).append(finding)
    return found


def test_api_document_endpoints_codes_and_rules_found_with_their_lines() -> None:
    """Endpoints come from the table, statuses from lists, rules from sentences, each with the line it stands on."""
    found = by_line("orders-api.md")
    assert found[15][0].endpoint == Endpoint("POST", "/api/v2/orders")
    assert found[15][0].codes == (201, 400, 401, 409)
    assert found[29][0].text == "The server MUST reject an order with more than 50 items."
    assert found[29][0].limits == ("more than 50 items",)
    assert found[37][0].kind is Kind.RESPONSE
    assert found[37][0].codes == (400,)
    assert found[37][0].endpoint == Endpoint("POST", "/api/v2/orders")
    assert str(found[37][0].endpoint_source) == "docs/orders-api.md:18"
    assert [finding.priority for finding in found[46]] == [Priority.SHOULD, Priority.MUST]


def test_api_document_code_and_front_matter_not_read_as_requirements() -> None:
    """Sentences in fenced code are examples; the JSON body is kept as the example of its endpoint."""
    (each,) = fixtures("orders-api.md")
    findings = read(each.text, each.path)
    assert not any("client must never" in finding.text for finding in findings.found)
    (example,) = findings.examples
    assert (example.endpoint, example.source.line) == (Endpoint("POST", "/api/v2/orders"), 23)
    assert [source.line for _, source in findings.questions] == [56, 57]


def test_story_document_ids_tables_and_scenarios_found() -> None:
    """Stories take the id of their heading, criteria and rows keep theirs, scenarios keep the line of every step."""
    found = by_line("checkout-story.md")
    assert found[9][0].id == "US-1"
    assert found[13][0].id == "AC-1.1"
    assert [step.keyword for step in found[13][0].steps] == ["Given", "When", "Then"]
    assert [(found[line][0].id, found[line][0].priority) for line in (19, 20, 21)] == [
        ("FR-1", Priority.MUST),
        ("FR-2", Priority.SHOULD),
        ("FR-3", Priority.MAY),
    ]
    assert found[20][0].text == "A shopper can choose invoice | card | voucher"
    assert found[29][0].statement == "The shop must keep a cart for at least 30 days;"
    assert found[31][0].statement.endswith("on every page; also after a change in another tab")
    assert [step.source.line for step in found[34][0].steps] == [35, 36, 37, 38]
    assert found[43][0].text == "A guest signs in"
    assert found[43][0].feature.name == "Guests"


def test_plain_text_memo_sentences_found_over_line_ends() -> None:
    """In plain text a sentence belongs to the line where one finds its words, and indentation is no code."""
    found = by_line("memo.txt")
    assert sorted(found) == [3, 4, 5, 9, 10, 13]
    assert found[4][0].text.endswith("a backup code cannot be used twice.")
    assert found[13][0].text == "The auditor needs to see who exported what."
    assert found[9][0].feature.name == "REPORTS"


def test_nasty_document_survives_and_hides_nothing() -> None:
    """An unclosed fence swallows nothing, comments and code stay out, a row without words becomes an open point."""
    (each,) = fixtures("nasty.md")
    findings = read(each.text, each.path)
    said = [finding.text for finding in findings.found]
    assert any("The lost sentence must be found" in text for text in said)
    assert not any("must be ignored" in text or "must be code" in text or "never be read" in text for text in said)
    assert ("NFR-2 has no words", 8) in [(text, source.line) for text, source in findings.questions]


def test_minutes_without_requirements_nothing_found() -> None:
    """Prose that obliges to nothing has no findings, even with an order in a code block."""
    assert read(fixtures("minutes.md")[0].text).found == ()


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_line_ends_and_byte_order_mark_same_lines(ending: str) -> None:
    """Whatever ends the lines, and with a byte order mark, the findings stand on the same lines."""
    (each,) = fixtures("checkout-story.md")
    expected = [(finding.text, finding.source.line) for finding in read(each.text).found]
    other = read("\ufeff" + each.text.replace("\n", ending))
    assert [(finding.text, finding.source.line) for finding in other.found] == expected


def test_sentence_over_lines_belongs_to_line_with_its_words() -> None:
    """A sentence whose first word ends a line is quoted from the next, where the reader finds it."""
    finding = only("Nothing here. The\nserver must log every request\nthat fails.\n")
    assert (finding.text, finding.source.line) == ("The server must log every request that fails.", 2)


def test_same_words_twice_one_finding_with_both_lines() -> None:
    """Identical findings of all documents become one, which names every line."""
    findings = merged(
        [read("The app must start.\n\n- the app must start", "a.md"), read("The app must start.", "b.md")]
    )
    (finding,) = findings.found
    assert [str(source) for source in (finding.source, *finding.also)] == ["a.md:1", "a.md:3", "b.md:1"]


def test_ids_given_twice_or_not_at_all_unique() -> None:
    """Ids of the documents are kept, doubles get a suffix, made-up ones avoid those in use."""
    findings = merged([read("- FR-1: a must be\n- FR-1: b must be\n- R-001 c must be\n- d must be")])
    assert [finding.id for finding in findings.found] == ["FR-1", "FR-1/2", "R-001", "R-002"]


@pytest.mark.parametrize("same_words", [True, False])
def test_one_id_on_a_hundred_thousand_lines_merged_in_linear_time(same_words: bool) -> None:
    """Work that grew with the square of the repeats would take longer than any test may."""
    lines = range(1, 100_001)
    feature = Feature("d.md", Source("d.md", 1))
    found = tuple(
        Finding(
            kind=Kind.REQUIREMENT, id="R-1", text="It must." if same_words else f"It must {line}.",
            source=Source("d.md", line), feature=feature,
        )
        for line in lines
    )  # fmt: skip
    findings = merged([DocumentFindings("d.md", len(lines), found)]).found
    if same_words:
        assert [source.line for finding in findings for source in (finding.source, *finding.also)] == list(lines)
    else:
        assert [finding.id for finding in findings] == ["R-1", *(f"R-1/{line}" for line in lines[1:])]


def test_bare_endpoint_described_elsewhere_not_found_twice() -> None:
    """A heading that only names an endpoint adds its line to the row that describes it."""
    text = "| Method | Path | Status |\n|---|---|---|\n| PUT | /a | 204 |\n\n## PUT /a\n\nText.\n"
    finding = merged([read(text)]).found[0]
    assert [str(source) for source in (finding.source, *finding.also)] == ["d.md:3", "d.md:5"]
    assert len(merged([read(text)]).found) == 1


def test_statuses_below_an_endpoint_item_belong_to_it() -> None:
    """Nested items speak of the endpoint of the item above them."""
    text = "Endpoints:\n\n- `PUT /a` replaces\n  - 204 when done\n- `GET /b` reads\n  - 404 when absent\n"
    found = {finding.codes: str(finding.endpoint) for finding in read(text).found if finding.codes}
    assert found == {(204,): "PUT /a", (404,): "GET /b"}


def test_json_of_an_answer_not_taken_as_request_body() -> None:
    """Only a JSON object that is not introduced as an answer is an example of a request."""
    text = '## POST /a\n\nReturns:\n\n```json\n{"id": 1}\n```\n\nBody:\n\n```json\n{"name": "x"}\n```\n'
    assert [example.body for example in read(text).examples] == ['{"name": "x"}']


def test_feature_file_read_as_gherkin() -> None:
    """A .feature document gives its scenarios under its feature, tags and comments aside."""
    finding = only(
        "# note\n@smoke\nFeature: Door\n\n  Scenario: Opens\n    Given a key\n    When it turns\n    Then open\n",
        "d.feature",
    )
    assert (finding.kind, finding.text, finding.feature.name) == (Kind.SCENARIO, "Opens", "Door")


def test_steps_without_then_stay_ordinary_lines() -> None:
    """A sentence that merely begins with When is no scenario."""
    finding = only("When the door is open, the light must be on.\n")
    assert (finding.kind, finding.steps) == (Kind.REQUIREMENT, ())


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("answers 404 Not Found", (404,)),
        ("status codes: 200, 201 and 409", (200, 201, 409)),
        ("`422` Unprocessable", ()),
        ("HTTP 503", (503,)),
        ("within 200 ms the request is done", ()),
        ("returns 200 rows", ()),
        ("room 404", ()),
        ("costs $404 on request", ()),
        ("returns 299", ()),
        ("returns 100 at once", ()),
        ("limit (1\u2013200) of a request", ()),
    ],
)
def test_status_codes_only_where_http_is_meant(text: str, codes: tuple[int, ...]) -> None:
    """A number counts as a status where the words around it say so, and never with a unit."""
    assert signals.status_codes(text) == codes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call GET /a/{id}, then DELETE https://x.test/b.", ["GET /a/{id}", "DELETE https://x.test/b"]),
        ("GET, HEAD /a", ["GET /a", "HEAD /a"]),
        ("POST /a/<int:n>/b?x=1", ["POST /a/<int:n>/b?x=1"]),
        ("GET ready / POST haste", []),
        ("widget /a", []),
    ],
)
def test_endpoints_method_and_path(text: str, found: list[str]) -> None:
    """An endpoint is a method in capitals and a path, without the punctuation of the sentence."""
    assert [str(endpoint) for endpoint in signals.endpoints(text)] == found


@pytest.mark.parametrize(
    ("text", "found", "rest"),
    [
        ("FR-12: It works", "FR-12", "It works"),
        ("[AC-3.1] works", "AC-3.1", "works"),
        ("AC 2 - works", "AC-2", "works"),
        ("SHOP-77 works", "SHOP-77", "works"),
        ("SHA-256 is used", None, "SHA-256 is used"),
        ("UTF-8 text", None, "UTF-8 text"),
        ("A plain line", None, "A plain line"),
    ],
)
def test_leading_id_named_and_taken_off(text: str, found: str | None, rest: str) -> None:
    """Ids of requirements and tickets are recognised, names of standards are not."""
    assert signals.leading_id(text) == (found, rest)


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("It MUST work", Priority.MUST),
        ("It should work but must not fail", Priority.MUST),
        ("It shouldn't fail", Priority.SHOULD),
        ("It MAY fail", Priority.MAY),
        ("It may fail", None),
        ("Must it work?", None),
        ("Mustard is yellow", None),
    ],
)
def test_obligation_strongest_word_decides(text: str, priority: Priority | None) -> None:
    """The strongest modal verb gives the priority; a question obliges to nothing."""
    assert signals.obligation(text) == priority


def test_conditions_parted_from_what_holds() -> None:
    """If and when clauses come off either end of the sentence."""
    assert signals.condition("If x is y, then it must be z.") == (("Given", "x is y"), "it must be z.")
    assert signals.condition("It must be z when x is y.") == (("When", "x is y"), "It must be z")
    assert signals.condition("It must be z.") == (None, "It must be z.")


@pytest.mark.parametrize(
    "text", ["a | b", "`code` *x* _y_ <b> [l](u) ~s~ \\", "&amp; &lt;", "a_b __c__ **d**", "*/ \\* `"]
)
def test_markdown_escapes_read_back_as_the_same_words(text: str) -> None:
    """What is escaped for Markdown reads as exactly the words it was."""
    assert plain(markdown(text)) == text


@pytest.mark.parametrize(("text", "span"), [("a|b", "`a\\|b`"), ("a`b", "a\\`b"), ("a\nb", "`a b`")])
def test_code_span_safe_in_a_cell(text: str, span: str) -> None:
    """Pipes, backticks and line ends in a path do not break its row."""
    assert code(text) == span


def test_lines_of_counts_as_an_editor_does() -> None:
    """Form feeds and line separators do not end a line."""
    assert lines_of("a\u2028b\x0cc\r\nd\re\nf") == ["a\u2028b\x0cc", "d", "e", "f"]
