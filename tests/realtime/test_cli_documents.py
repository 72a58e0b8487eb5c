"""Which files an import finds, under which names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from realtime.cli.documents import MAX_BYTES, find_documents


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a small project in it."""
    for name in (
        "docs/b.md", "docs/a.TXT", "docs/sub/c.rst", "docs/d.markdown", "docs/e.text",
        "docs/image.png", "docs/.hidden.md", "docs/.git/x.md", "docs/node_modules/x.md", "docs/.venv/x.md",
    ):  # fmt: skip
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}\n")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def names(*paths: Path | str) -> list[str]:
    """The names of what is found and can be read."""
    return [found.name for found in find_documents([Path(path) for path in paths]) if found.problem is None]


@pytest.mark.usefixtures("here")
def test_folder_walked_gives_text_files_in_order_without_hidden_and_tools() -> None:
    """Markdown and text files of every depth are found; hidden ones, tools' folders and other files are not."""
    expected = ["docs/a.TXT", "docs/b.md", "docs/d.markdown", "docs/e.text", "docs/sub/c.rst"]
    assert names("docs") == expected
    assert names(".") == expected
    assert names("./docs/") == expected


def test_path_outside_is_named_from_its_last_folder(here: Path) -> None:
    """A document's name never leads out of the project, whatever was typed."""
    assert names(here / "docs" / "sub") == ["sub/c.rst"]
    assert names(here / "docs" / "b.md") == ["b.md"]
    assert names("../project/docs/sub") == ["sub/c.rst"]


@pytest.mark.usefixtures("here")
def test_file_given_twice_is_found_once() -> None:
    """Overlapping paths do not make new versions of a document."""
    assert names("docs/sub", "docs/sub/c.rst", "docs/sub") == ["docs/sub/c.rst"]


def test_files_of_one_name_do_not_replace_each_other(here: Path) -> None:
    """Two different files that would have the same name: the second is a problem, named with the first."""
    (here / "c.rst").write_text("other")
    found = list(find_documents([here / "docs" / "sub" / "c.rst", here / "c.rst"]))
    assert [document.problem is None for document in found] == [True, False]
    assert "has this name already" in str(found[1].problem)


def test_file_that_cannot_be_taken_is_named_with_the_reason(here: Path) -> None:
    """Other types, too large files, pipes and dangling links are problems; none of them is opened."""
    (here / "large.md").write_bytes(b"x" * (MAX_BYTES + 1))
    (here / "dangling.md").symlink_to("nowhere.md")
    os.mkfifo(here / "pipe.md")
    found = find_documents([Path(name) for name in ("docs/image.png", "large.md", "dangling.md", "pipe.md")])
    problems = {document.name: str(document.problem) for document in found}
    assert "not Markdown or text" in problems["docs/image.png"]
    assert "5000001 bytes" in problems["large.md"]
    assert "No such file" in problems["dangling.md"]
    assert "not a file" in problems["pipe.md"]
