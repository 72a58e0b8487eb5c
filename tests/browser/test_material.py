"""What goes into runs and what comes out: documents and artifacts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from elsewhere import complete_run
from live_server import LiveServer
from playwright.sync_api import Browser, Page, expect
from project_page import ARTIFACTS_URL, RUN_URL, ProjectPage
from staged_model import ANSWERS, Stage

from orchestrator.records import MAX_DOCUMENT_BYTES
from realtime.endpoints.page_words import size_text


@pytest.fixture
def artifacts_page(server: LiveServer, sign_in: None, page: Page) -> Page:
    """The artifacts of a run of one agent."""
    run_id = complete_run(server, "ba_consultant")
    page.goto(f"{server.url}/projects/{server.home.project_id}/artifacts?run_id={run_id}")
    return page


def test_upload_several_documents_lists_each(project_page: ProjectPage, tmp_path: Path) -> None:
    """Several files can be chosen at once; the same name again is a new version."""
    (tmp_path / "shop.md").write_text("REQ-1: changed")
    (tmp_path / "billing.md").write_text("REQ-2: new")
    section = project_page.page.locator("#documents")
    expect(section.locator("li")).to_have_count(1)
    section.get_by_label("Add documents").set_input_files([tmp_path / "shop.md", tmp_path / "billing.md"])
    section.get_by_role("button", name="Upload").click()
    expect(section.locator("li")).to_have_count(2)
    expect(section.locator("li", has_text="shop.md")).to_contain_text("version 2")
    project_page.page.reload()
    expect(section.locator("li", has_text="billing.md")).to_contain_text("10 B")


def test_upload_refused_names_the_file_and_keeps_the_others(
    project_page: ProjectPage, tmp_path: Path, provoked: None
) -> None:
    """Files that cannot be taken do not keep the others out; each is told of in a line of its own."""
    (tmp_path / "huge.md").write_bytes(b"x" * (MAX_DOCUMENT_BYTES + 300_000))
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "fine.md").write_text("REQ-2: new")
    section = project_page.page.locator("#documents")
    chosen = [tmp_path / name for name in ("huge.md", "empty.md", "fine.md")]
    section.get_by_label("Add documents").set_input_files(chosen)
    section.get_by_role("button", name="Upload").click()
    most = size_text(MAX_DOCUMENT_BYTES)
    expect(section.get_by_role("alert")).to_contain_text(f"huge.md has 5.3 MB; at most {most} can be kept.")
    lines = section.get_by_role("alert").inner_text().splitlines()
    assert [line.partition(" ")[0].strip(":") for line in lines] == ["huge.md", "empty.md"]
    expect(section.locator("li", has_text="fine.md")).to_be_visible()


def test_upload_refusal_is_forgotten_when_the_next_thing_is_done(
    project_page: ProjectPage, tmp_path: Path, provoked: None
) -> None:
    """It names its file once, and does not stand beside a later upload or run."""
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "fine.md").write_text("REQ-2: new")
    section = project_page.page.locator("#documents")
    refusal = section.locator("[data-part=error]")

    def upload(name: str) -> None:
        section.get_by_label("Add documents").set_input_files(tmp_path / name)
        section.get_by_role("button", name="Upload").click()

    upload("empty.md")
    expect(refusal).to_have_text("empty.md is empty.")
    upload("fine.md")
    expect(section.locator("li", has_text="fine.md")).to_be_visible()
    expect(refusal).to_be_hidden()
    upload("empty.md")
    expect(refusal).to_be_visible()
    project_page.start("ba_consultant")
    expect(refusal).to_be_hidden()


def test_upload_of_another_kind_is_refused_unsent(project_page: ProjectPage, tmp_path: Path) -> None:
    """What the chooser was told not to offer and got all the same never leaves the browser."""
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "NOTES.RST").write_text("REQ-2: new")
    sent: list[str] = []
    project_page.page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    section = project_page.page.locator("#documents")
    section.get_by_label("Add documents").set_input_files([tmp_path / "photo.png", tmp_path / "NOTES.RST"])
    section.get_by_role("button", name="Upload").click()
    expect(section.get_by_role("alert")).to_have_text("photo.png is of another kind; expected Markdown or text.")
    expect(section.locator("li", has_text="NOTES.RST")).to_be_visible()
    assert len(sent) == 1


def test_document_size_is_the_same_before_and_after_an_upload(project_page: ProjectPage, tmp_path: Path) -> None:
    """One form for sizes, whoever drew the list."""
    section = project_page.page.locator("#documents")
    for name, size in (("one.md", 1), ("long.md", 12_345)):
        (tmp_path / name).write_text("x" * size)
        section.get_by_label("Add documents").set_input_files(tmp_path / name)
        section.get_by_role("button", name="Upload").click()
        expect(section.locator("li", has_text=name)).to_be_visible()
    drawn = section.locator("li").all_inner_texts()
    assert any("1 B" in row for row in drawn)
    project_page.page.reload()
    expect(section.locator("li")).to_have_text(drawn, use_inner_text=True)


def test_artifacts_of_a_run_open_with_the_first_agents(
    project_page: ProjectPage, stage: Stage, complaints: list[str]
) -> None:
    """They are in the order of the agents, laid out or highlighted; on a narrow screen the list is seen, then the one
    that is chosen."""
    page = project_page.page
    project_page.start("ba_consultant", "automation_consultant")
    stage.finish("ba_consultant", "automation_consultant")
    expect(page).to_have_url(ARTIFACTS_URL)
    links, listed = page.locator("[data-artifact-id]"), page.url
    expect(links.first).to_contain_text("Coverage matrix")
    expect(links.first).to_have_attribute("aria-current", "true")
    expect(page.locator(".prose td").first).to_have_text("<b>REQ-1</b> & more")
    expect(page.locator(".prose b")).to_have_count(0)
    links.nth(1).click()
    expect(links.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("pre .keyword").first).to_have_text("import")
    assert "?run_id=" in page.url
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator("#artifact-title")).to_be_in_viewport()
    page.get_by_role("link", name="Artifacts of this run").click()
    expect(page).to_have_url(listed)
    expect(links).to_have_count(2)
    expect(page.locator("#artifact")).to_be_hidden()
    assert complaints == []


def test_line_in_an_artifact_leads_to_that_line(artifacts_page: Page, complaints: list[str]) -> None:
    """The link says what stands there; the document opens with that line marked."""
    artifacts_page.set_viewport_size({"width": 900, "height": 300})
    source = artifacts_page.locator(".prose").get_by_role("link", name="shop.md:3")
    expect(source).to_have_attribute("title", "REQ-1: A customer can pay by invoice.")
    source.click()
    expect(artifacts_page).to_have_url(re.compile("/documents/[^/]+#L3$"))
    marked = artifacts_page.locator("li:target")
    expect(marked).to_have_text("REQ-1: A customer can pay by invoice.")
    expect(marked).to_be_in_viewport()
    assert complaints == []


@pytest.mark.parametrize("clipboard", [True, False])
def test_artifact_copied_is_in_the_clipboard(artifacts_page: Page, clipboard: bool) -> None:
    """As it was written; also where the browser has no clipboard object, as on plain HTTP."""
    artifacts_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    artifacts_page.evaluate("globalThis.board = navigator.clipboard")
    if not clipboard:
        artifacts_page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    artifacts_page.get_by_role("button", name="Copy").click()
    expect(artifacts_page.locator("[data-part=copied]")).to_have_text("Copied")
    assert artifacts_page.evaluate("board.readText()").strip() == ANSWERS["ba_consultant"]


def test_artifacts_without_javascript_are_read_and_downloaded(artifacts_page: Page, browser: Browser) -> None:
    """The list, what it leads to, its source and the file are all there; only copying is not offered."""
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(artifacts_page.context.cookies())  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(artifacts_page.url)
    page.locator("[data-artifact-id]").click()
    expect(page.locator(".prose td").first).to_have_text("<b>REQ-1</b> & more")
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "coverage-matrix.md"
    assert Path(download.value.path()).read_text() == f"{ANSWERS['ba_consultant']}\n"
    page.locator(".prose").get_by_role("link", name="shop.md:3").click()
    expect(page.locator("li:target")).to_have_text("REQ-1: A customer can pay by invoice.")
    context.close()


def test_artifacts_of_a_run_lead_to_the_run_and_to_all(artifacts_page: Page) -> None:
    """The list says whose it is, and has the way back."""
    artifacts_page.get_by_role("link", name="Show all").click()
    expect(artifacts_page).to_have_url(re.compile("/artifacts$"))
    expect(artifacts_page.get_by_role("link", name="Coverage matrix")).to_be_visible()
    artifacts_page.go_back()
    artifacts_page.locator("#artifacts-page .hint a").first.click()
    expect(artifacts_page).to_have_url(RUN_URL)


def test_artifacts_without_any_say_how_to_get_some(project_page: ProjectPage) -> None:
    """An empty page is not a blank one."""
    project_page.page.get_by_role("link", name="Artifacts", exact=True).click()
    expect(project_page.page.get_by_text("No artifacts here yet")).to_be_visible()
