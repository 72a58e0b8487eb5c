"""Documents page by page, and the names of files."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from realtime.material import attachment, document_page
from realtime.material.lines import lines_of
from realtime.material.pages import CHARACTERS_PER_PAGE, LINES_PER_PAGE
from realtime.ports import DocumentInfo

LONG = DocumentInfo(id="d", project_id="p", path="a.md", version=1, size=1, created_at="2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("\na", ["", "a"]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("a\x0bb\x0cc\x85d\u2028e", ["a\x0bb\x0cc\x85d\u2028e"]),
        ("", [""]),
    ],
)
def test_lines_end_as_in_an_editor(text: str, lines: list[str]) -> None:
    """Only the three ends of lines that editors know end one, so that numbers mean the same everywhere."""
    assert lines_of(text) == lines


def test_document_has_pages_that_lead_to_each_other() -> None:
    """Every line is on one page; before the first and after the last there is none."""
    content = "".join(f"line {number}\n" for number in range(1, 2 * LINES_PER_PAGE + 2))
    pages = [document_page(LONG, content, number) for number in range(5)]
    assert pages[0] is None
    assert pages[4] is None
    first, second, third = (page for page in pages if page is not None)
    assert (first.first, first.last, first.previous) == (1, LINES_PER_PAGE, None)
    assert first.following == "/projects/p/documents/d?page=2"
    assert (second.previous, second.following) == ("/projects/p/documents/d", "/projects/p/documents/d?page=3")
    assert (third.lines, third.first, third.last) == ((f"line {third.first}",), third.total, third.total)
    assert third.following is None


def test_document_with_long_lines_has_pages_of_fewer() -> None:
    """A page has only so many characters; a line that is longer has a page of its own, with its beginning."""
    half, huge = "a" * (CHARACTERS_PER_PAGE // 2), "b" * (CHARACTERS_PER_PAGE + 1)
    content = "\n".join([half, half, half, huge, "c"])
    pages = [page for number in range(1, 6) if (page := document_page(LONG, content, number)) is not None]
    assert [page.lines for page in pages] == [(half, half), (half,), (huge[:-1],), ("c",)]
    assert [(page.first, page.last, page.cut) for page in pages] == [
        (1, 2, False), (3, 3, False), (4, 4, True), (5, 5, False)
    ]  # fmt: skip


@pytest.mark.parametrize(("line", "first"), [(1, 1), (2, 2), (5001, 2), (5002, 5002), (99_999, 5002), (0, None)])
def test_line_is_on_the_page_that_has_it(line: int, first: int | None) -> None:
    """Whatever the lengths of those before it; one that is there no more was nearest the last page."""
    content = "\n".join(["a" * CHARACTERS_PER_PAGE, *["b"] * (LINES_PER_PAGE + 1)])
    page = document_page(LONG, content, line=line)
    assert (page.first if page else None) == first


@pytest.mark.parametrize(
    ("title", "content_type", "plain", "whole"),
    [
        ("Coverage matrix: 3 rows", "text/markdown", "coverage-matrix-3-rows.md", None),
        ("Shop", "text/x-typescript; charset=utf-8", "shop.spec.ts", None),
        ("Shop", "application/pdf", "shop.txt", None),
        ("../../etc/passwd", "text/csv", "etc-passwd.csv", None),
        ('a"; filename=b.exe\r\nSet-Cookie: c', "text/html", "a-filename-b-exe-set-cookie-c.html", None),
        ("Prüfung der Größe", "text/markdown", "prfung-der-gre.md", "prüfung-der-größe.md"),
        ("試験", "text/x-gherkin", "artifact.feature", "試験.feature"),
        ("\u202e\0", "text/plain", "artifact.txt", None),
        ("x" * 500, "text/plain", f"{'x' * 80}.txt", None),
    ],
)
def test_file_name_is_one_that_every_system_takes(
    title: str, content_type: str, plain: str, whole: str | None
) -> None:
    """The title's letters and digits, once in ASCII for all and once whole where that is more."""
    header = attachment(title, content_type)
    assert header.isascii()
    assert header.isprintable()
    assert re.findall(r'attachment; filename="([^"]*)"', header) == [plain]
    assert [unquote(name) for name in re.findall(r"; filename\*=UTF-8''(\S+)$", header)] == ([whole] if whole else [])
