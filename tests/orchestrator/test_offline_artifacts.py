"""What the offline model writes: matrix, checklists with Gherkin, Playwright tests."""

from __future__ import annotations

import re

import pytest
from offline_checks import (
    AGENT_TYPES,
    TABLE_ROW,
    answer,
    artifact,
    document,
    features,
    fixtures,
    pipeline,
    references,
    scenarios,
    syntax_errors,
    test_titles,
    untraced,
)

ALL = ("checkout-story.md", "memo.txt", "nasty.md", "orders-api.md")
QUOTING = re.compile(r"^(?:\| (?!ID|---)|- \[ \]|- \*\*|\s*# Source: .+ — |  // .+ — )")


def quoting(text: str) -> str:
    """The lines of an artifact that quote a line of a document."""
    return "\n".join(line for line in text.split("\n") if QUOTING.match(line))


def cells(matrix: str, name: str) -> list[str]:
    """The row of that id, cell by cell."""
    row = next(line for line in matrix.split("\n") if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


@pytest.mark.parametrize("name", ALL)
async def test_pipeline_over_real_documents_parses_and_traces(name: str) -> None:
    """Gherkin and TypeScript parse, every reference is a line, and what is quoted stands on that line."""
    documents = fixtures(name)
    matrix, checklist, script = await pipeline(documents)
    assert features(checklist)
    assert syntax_errors(script) == []
    for text in (matrix, checklist, script):
        assert references(text, documents)
        assert untraced(quoting(text), documents) == []


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_each_agent_without_earlier_artifacts_works_from_documents(agent_type: str) -> None:
    """Side by side, each agent makes its artifact from the documents alone."""
    documents = fixtures("orders-api.md")
    text = await answer(agent_type, documents)
    assert "/api/v2/orders" in text
    assert untraced(quoting(text), documents) == []
    assert (syntax_errors(text) == []) if agent_type == "automation_consultant" else text.startswith("# ")


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_same_documents_same_bytes_and_others_other_text(agent_type: str) -> None:
    """The answer depends on the documents and on nothing else."""
    first = await answer(agent_type, fixtures("orders-api.md", "memo.txt"))
    assert first == await answer(agent_type, fixtures("orders-api.md", "memo.txt"))
    other = await answer(agent_type, fixtures("checkout-story.md"))
    assert not set(quoting(first).split("\n")) & set(quoting(other).split("\n"))


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_documents_without_requirements_artifact_says_so(agent_type: str) -> None:
    """Nothing found is said, with what was read and what was looked for, and still parses."""
    text = await answer(agent_type, fixtures("minutes.md"))
    title = text.split("\n")[0]
    assert title.endswith("found")
    assert "no " in title or "nothing" in title
    assert "docs/minutes.md:1" in text
    assert "HTTP status codes" in text
    assert features(text) == []
    if agent_type == "automation_consultant":
        assert syntax_errors(text) == []


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_omitted_documents_named_in_artifact(agent_type: str) -> None:
    """What did not fit the context is named, so that nobody takes the artifact for complete."""
    text = await answer(agent_type, fixtures("memo.txt"), omitted=("docs/huge_plan.md",))
    (line,) = [line for line in text.split("\n") if "huge_plan" in line]
    assert "not read" in line


async def test_matrix_says_what_covers_a_requirement_and_what_does_not() -> None:
    """Criteria of a story cover it; limits and statuses that no idea mentions are gaps."""
    matrix, _, _ = await pipeline(fixtures("checkout-story.md", "orders-api.md"))
    assert cells(matrix, "US-1")[5:] == ["AC-1.1, AC-1.2, AC-1.3", "—"]
    assert cells(matrix, "FR-3")[2] == "may"
    assert cells(matrix, "FR-3")[6] == 'no test idea; limit "within 60 seconds"'
    assert "status 409" in cells(matrix, "EP-002")[6]
    assert cells(matrix, "FR-2")[1] == "A shopper can choose invoice \\| card \\| voucher"
    assert "## Left open in the documents" in matrix


async def test_matrix_partly_covered_requirement_names_only_what_is_missing() -> None:
    """An idea that checks one of two statuses leaves the other as the gap."""
    text = (
        "## PUT /door\n\n- FR-1: The door must answer 204 when it opens and 423 when it is locked.\n\n"
        "## Tests\n\n- AC-1: PUT /door answers 204\n- Verify that FR-1 waits at most 5 seconds\n"
    )
    matrix = await answer("ba_consultant", [document("d.md", text)])
    assert cells(matrix, "FR-1")[5:] == ["AC-1, AC-001", "status 423"]


async def test_matrix_after_checklist_counts_its_scenarios_as_ideas() -> None:
    """A business analyst that runs after the QA consultant sees what its scenarios cover."""
    documents = fixtures("memo.txt")
    checklist = await answer("qa_consultant", documents)
    matrix = await answer("ba_consultant", documents, [artifact("qa_consultant", checklist)])
    assert matrix.startswith("# Requirements coverage matrix: 6 requirements, 0 without a test idea")


async def test_checklist_after_matrix_covers_exactly_its_rows() -> None:
    """Every row has a check and a scenario under its id, a row taken out has none, and gaps are repeated."""
    documents = fixtures("checkout-story.md")
    matrix = await answer("ba_consultant", documents)
    shorter = "\n".join(line for line in matrix.split("\n") if not line.startswith(("| FR-1 ", "| AC-1.2 ")))
    checklist = await answer("qa_consultant", documents, [artifact("ba_consultant", shorter)])
    rows = [row.split(" | ")[0] for row in TABLE_ROW.findall(shorter)]
    checked = re.findall(r"^- \[ \] \*\*(.+?)\*\*", checklist, re.MULTILINE)
    assert sorted(checked) == sorted(rows)
    assert {scenario["name"].split(": ")[0] for scenario in scenarios(checklist)} == set(rows)
    assert f"{len(rows)} of them covered here" in checklist
    assert "2 findings that it does not list" in checklist
    assert 'says the matrix: no test idea; limit "at least 30 days"' in checklist


async def test_checklist_after_foreign_matrix_uses_its_rows_and_names_what_it_cannot_trace() -> None:
    """Rows of a matrix in other words count as long as their line exists; the others are named, not dropped."""
    documents = fixtures("memo.txt")
    matrix = (
        "# Matrix\n\n| ID | Requirement | Priority | Source |\n|---|---|---|---|\n"
        "| X-9 | Sign-in has a second factor | High | docs/memo.txt:3 |\n"
        "| X-10 | Made up | Low | docs/memo.txt:999 |\n| X-11 | Elsewhere | Low | docs/other.md:1 |\n"
    )
    checklist = await answer("qa_consultant", documents, [artifact("ba_consultant", matrix)])
    (scenario,) = scenarios(checklist)
    assert scenario["name"] == "X-9: Sign-in has a second factor"
    assert {tag["name"] for tag in scenario["tags"]} == {"@X-9", "@must"}
    assert "3 rows, 1 of them covered here" in checklist
    assert "Made up" in checklist
    assert "Elsewhere" in checklist


async def test_checklist_steps_made_of_the_words_of_the_line() -> None:
    """A described status becomes Given, When, Then with the endpoint of its heading; limits become boundaries."""
    checklist = await answer("qa_consultant", fixtures("orders-api.md"))
    sold_out = next(each for each in scenarios(checklist) if "sold out" in each["name"])
    assert [(step["keyword"].strip(), step["text"]) for step in sold_out["steps"]] == [
        ("Given", "one of the articles is sold out"),
        ("When", "a client sends POST /api/v2/orders"),
        ("Then", "the response is 409 Conflict"),
    ]
    assert "Boundary “more than 50 items”: just below, exactly at, just above · `docs/orders-api.md:29`" in checklist


async def test_several_statuses_in_one_sentence_each_with_its_clause() -> None:
    """Where one sentence says when each status is given, every scenario has the words of its own status."""
    text = (
        "## GET /r/{id}\n\n- 400 BAD_ID for an id that is none, 403 when it is another tenant's, and 404 otherwise\n"
    )
    checklist = await answer("qa_consultant", [document("d.md", text)])
    told = {
        each["name"].split(" answers ")[-1]: [step["text"] for step in each["steps"]] for each in scenarios(checklist)
    }
    assert told["400 Bad Request"][-1] == "the response is 400 BAD_ID for an id that is none"
    assert told["403 Forbidden when it is another tenant's"][0] == "it is another tenant's"
    assert told["404 Not Found"][-1] == "the response is 404 otherwise"


async def test_scenario_names_unique_in_the_whole_artifact() -> None:
    """However alike the findings, no two scenarios have the same name."""
    text = "".join(f"- AC-1: The light must be on when door {n} opens for {'x' * 200}\n" for n in range(3))
    checklist = await answer("qa_consultant", [document("a.md", text), document("b.md", "# B\n" + text)])
    names = [scenario["name"] for scenario in scenarios(checklist)]
    assert len(names) == len(set(names)) >= 3


async def test_script_after_checklist_has_one_test_per_scenario_by_name() -> None:
    """Each scenario becomes one test under its own name, in order, with its line."""
    for name in ALL:
        documents = fixtures(name)
        _, checklist, script = await pipeline(documents)
        assert test_titles(script) == [scenario["name"] for scenario in scenarios(checklist)]


async def test_script_after_foreign_scenarios_keeps_names_background_and_missing_lines() -> None:
    """Scenarios in other words, with a background and without sources, become tests that say what is missing."""
    checklist = (
        "# Tests\n\n```gherkin\nFeature: Door\n  Background:\n    Given I open /door\n\n"
        '  Scenario: Knock, docs/memo.txt:3\n    When I click "Knock"\n    Then I see "Who is there?"\n\n'
        "  Scenario: Silence\n    Then nothing\n```\n"
    )
    script = await answer("automation_consultant", fixtures("memo.txt"), [artifact("qa_consultant", checklist)])
    assert test_titles(script) == ["Knock, docs/memo.txt:3", "Silence"]
    assert syntax_errors(script) == []
    assert 'await page.goto("/door");' in script
    assert 'await page.getByRole("button", { name: "Knock" }).click();' in script
    assert 'await expect(page.getByText("Who is there?")).toBeVisible();' in script
    assert "  // docs/memo.txt:3\n  test(" in script
    assert "names no source line\n  test.fixme(" in script


async def test_script_runs_only_what_the_words_say_how_to_do() -> None:
    """A good request with the documented body runs; an error that nobody says how to provoke does not."""
    script = await answer("automation_consultant", fixtures("orders-api.md"))
    by_name = {name: call for call, name in re.findall(r'^  (test(?:\.fixme)?)\("([^"]+)"', script, re.MULTILINE)}
    assert by_name["EP-001: GET /api/v2/orders answers 200 OK"] == "test"
    assert by_name["EP-001: GET /api/v2/orders answers 401 Unauthorized"] == "test.fixme"
    assert by_name["RSP-001: POST /api/v2/orders answers 201 Created"] == "test"
    assert '"note": "Ring twice"' in script
    assert "body from docs/orders-api.md:23" in script
    assert '`/api/v2/orders/${value("order_id")}`' in script
    assert "3 tests can run as written, 2 of them checking a part of their words" in script


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ('Given I am on "/sign-in"', 'await page.goto("/sign-in");'),
        ('When I enter "ada" in the "Name" field', 'await page.getByLabel("Name").fill("ada");'),
        ('When I fill "Name" with "ada"', 'await page.getByLabel("Name").fill("ada");'),
        ('When I click the "Help" link', 'await page.getByRole("link", { name: "Help" }).click();'),
        ('Then I do not see "Oops"', 'await expect(page.getByText("Oops")).not.toBeVisible();'),
        ("Then I am redirected to /home", 'await expect(page).toHaveURL("/home");'),
        ('When I click "a`${b}*/\\"', 'await page.getByRole("button", { name: "a`${b}*/\\\\" }).click();'),
    ],
)
async def test_script_steps_bound_by_their_words(step: str, code: str) -> None:
    """Opening, typing, clicking, seeing and landing are turned into code from the quoted words, escaped."""
    checklist = f"# T\n\n```gherkin\nFeature: F\n  Scenario: S\n    {step}\n```\n"
    script = await answer("automation_consultant", fixtures("memo.txt"), [artifact("qa_consultant", checklist)])
    assert code in script
    assert syntax_errors(script) == []


async def test_huge_document_bounded_and_what_is_left_out_counted() -> None:
    """Beyond the limit the least insisted on is left out, and the artifact says how many and where they begin."""
    text = "".join(f"- The server should keep record {n}.\n" for n in range(300))
    text += "".join(f"- The server must show page {n}.\n" for n in range(300))
    documents = [document("docs/huge.md", text)]
    matrix = await answer("ba_consultant", documents)
    assert matrix.startswith("# Requirements coverage matrix: 600 requirements")
    assert len(TABLE_ROW.findall(matrix)) == 400
    assert "- `docs/huge.md:101`: 200 findings left out from here on (200 should)" in matrix
    for agent_type in AGENT_TYPES[1:]:
        text = await answer(agent_type, documents)
        assert re.search(r"200 findings left out from here on", text)
        assert len(text) < 400_000


async def test_very_long_line_quoted_short() -> None:
    """A line of a megabyte is quoted in part, and marked as cut."""
    documents = [document("long.md", "The server must " + "wait " * 40_000)]
    for agent_type in AGENT_TYPES:
        text = await answer(agent_type, documents)
        assert len(text) < 5_000
        assert "wait…" in text
