"""What there is a lot of: projects in the menu, documents in the list, and lines in any script."""

from __future__ import annotations

from pathlib import Path

from live_server import LiveServer
from playwright.sync_api import expect
from project_page import ProjectPage

PROJECTS = 40
DOCUMENTS = 200
"""So many documents the project's page lists."""

RIGHT_TO_LEFT = "\u05dc\u05e7\u05d5\u05d7 \u05de\u05e9\u05dc\u05dd."
ENDS_ON_THE_LEFT = """(line) => {
  const text = line.firstChild;
  const leftOf = (at) => {
    const range = new Range();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().left;
  };
  return leftOf(text.length - 1) < leftOf(text.length - 2);
}"""


def test_menu_of_many_projects_fits_a_telephone_and_closes(server: LiveServer, project_page: ProjectPage) -> None:
    """It scrolls by itself; Escape, a press elsewhere and leaving it by keyboard close it."""
    home, page = server.home, project_page.page

    async def add_projects() -> None:
        for number in range(PROJECTS):
            name = f"Project {number} with a name that is rather long for a telephone"
            project = await home.store.accounts.ensure_project(home.user.tenant, f"p{number}", name)
            await home.store.accounts.set_member(home.user.tenant, project.id, home.user.id, "owner")

    server.call(add_projects())
    page.set_viewport_size({"width": 360, "height": 640})
    project_page.open()
    summary, links = page.locator(".projects summary"), page.locator(".projects ul")
    summary.click()
    box = links.bounding_box()
    assert box is not None
    assert (box["x"] >= 0, box["x"] + box["width"] <= 360, box["y"] + box["height"] <= 640) == (True, True, True)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(links).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    expect(links).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(links).to_be_hidden()
    summary.click()
    expect(links).to_be_visible()
    page.mouse.click(180, 630)
    expect(links).to_be_hidden()


def test_upload_beyond_what_is_listed_is_counted_and_found(
    server: LiveServer, project_page: ProjectPage, tmp_path: Path
) -> None:
    """The list stays as long as it may be; all documents are on pages of their own, their lines in any direction."""
    page, section = project_page.page, project_page.page.locator("#documents")
    documents = [(f"{number:03}.md", "It must.") for number in range(DOCUMENTS - 1)]
    server.call(server.home.store.documents.add_documents(server.home.user.tenant, server.home.project_id, documents))
    project_page.open()
    expect(section.locator("li")).to_have_count(DOCUMENTS)
    expect(section.locator("[data-part=more]")).to_be_hidden()
    (tmp_path / "zoo.md").write_text(f"It must.\n{RIGHT_TO_LEFT}\n", encoding="utf-8")
    section.get_by_label("Add documents").set_input_files(tmp_path / "zoo.md")
    section.get_by_role("button", name="Upload").click()
    expect(section.locator("[data-part=more]")).to_have_text(
        f"The first {DOCUMENTS} of {DOCUMENTS + 1} are listed here. All documents"
    )
    expect(section.locator("li")).to_have_count(DOCUMENTS)
    section.get_by_role("link", name="All documents").click()
    page.get_by_role("link", name="Next documents").click()
    page.get_by_role("link", name="zoo.md").click()
    line = page.locator("#L2")
    expect(line).to_have_css("unicode-bidi", "plaintext")
    assert line.evaluate(ENDS_ON_THE_LEFT)
