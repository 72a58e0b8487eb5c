"""What goes into runs and what comes out: documents and artifacts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from project_page import ARTIFACTS_URL, ProjectPage
from staged_model import ANSWERS, Stage


@pytest.fixture
def artifacts_page(project_page: ProjectPage, stage: Stage) -> Page:
    """The artifacts of a run of one agent, reached as everybody does."""
    project_page.start("ba_consultant")
    stage.finish("ba_consultant")
    expect(project_page.page).to_have_url(ARTIFACTS_URL)
    return project_page.page


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


def test_upload_refused_names_the_file_and_keeps_the_others(project_page: ProjectPage, tmp_path: Path) -> None:
    """One file that cannot be taken does not keep the others out."""
    (tmp_path / "huge.md").write_bytes(b"x" * 5_300_000)
    (tmp_path / "fine.md").write_text("REQ-2: new")
    section = project_page.page.locator("#documents")
    section.get_by_label("Add documents").set_input_files([tmp_path / "huge.md", tmp_path / "fine.md"])
    section.get_by_role("button", name="Upload").click()
    expect(section.get_by_role("alert")).to_contain_text("huge.md:")
    expect(section.locator("li", has_text="fine.md")).to_be_visible()


def test_artifact_chosen_shows_its_text_as_text(artifacts_page: Page, complaints: list[str]) -> None:
    """What an agent wrote is never taken for markup."""
    artifacts_page.get_by_role("link", name="Coverage matrix").click()
    expect(artifacts_page.locator("pre")).to_have_text(f"{ANSWERS['ba_consultant']}\n")
    expect(artifacts_page.locator("pre b")).to_have_count(0)
    assert complaints == []


def test_artifact_downloaded_is_the_text_under_its_title(artifacts_page: Page) -> None:
    """The file has the name and the kind of what is in it."""
    artifacts_page.get_by_role("link", name="Coverage matrix").click()
    with artifacts_page.expect_download() as download:
        artifacts_page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "coverage-matrix.md"
    assert Path(download.value.path()).read_text() == f"{ANSWERS['ba_consultant']}\n"


@pytest.mark.parametrize("clipboard", [True, False])
def test_artifact_copied_is_in_the_clipboard(artifacts_page: Page, clipboard: bool) -> None:
    """Also where the browser has no clipboard object, as on plain HTTP."""
    artifacts_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    artifacts_page.get_by_role("link", name="Coverage matrix").click()
    expect(artifacts_page.locator("pre")).to_be_visible()
    artifacts_page.evaluate("globalThis.board = navigator.clipboard")
    if not clipboard:
        artifacts_page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    artifacts_page.get_by_role("button", name="Copy").click()
    expect(artifacts_page.locator("[data-part=copied]")).to_have_text("Copied")
    assert artifacts_page.evaluate("board.readText()").strip() == ANSWERS["ba_consultant"]


def test_artifacts_of_a_run_lead_to_the_run_and_to_all(artifacts_page: Page, project_page: ProjectPage) -> None:
    """The list says whose it is, and has the way back."""
    artifacts_page.get_by_role("link", name="Show all").click()
    expect(artifacts_page).to_have_url(re.compile("/artifacts$"))
    expect(artifacts_page.get_by_role("link", name="Coverage matrix")).to_be_visible()
    artifacts_page.go_back()
    artifacts_page.locator("#artifacts-page .hint a").first.click()
    project_page.expect_card("ba_consultant", "complete")


def test_artifacts_without_any_say_how_to_get_some(project_page: ProjectPage) -> None:
    """An empty page is not a blank one."""
    project_page.page.get_by_role("link", name="Artifacts", exact=True).click()
    expect(project_page.page.get_by_text("No artifacts here yet")).to_be_visible()
