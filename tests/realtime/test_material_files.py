"""Documents page by page, and the names of files."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from realtime.material import attachment, document_page
from realtime.material.lines import LINES_PER_PAGE, lines_of
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
