"""What can be a document of a project."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from orchestrator.documents import MAX_PATH_CHARACTERS, check_path, read_document
from orchestrator.errors import DocumentTooLargeError, InvalidDocumentError
from orchestrator.records import MAX_DOCUMENT_BYTES


def test_read_document_returns_its_text() -> None:
    """UTF-8 text comes back as it is, line ends and all, without a byte order mark."""
    text = "# Größe\r\n- 漢字 🙂\n"
    assert read_document("docs/spec.md", text.encode()) == text
    assert read_document("docs/spec.md", b"\xef\xbb\xbf" + text.encode()) == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"text\x00more", "binary"),
        (b"\x00", "binary"),
        (b"caf\xe9", "byte 3"),
        ("text".encode("utf-16"), "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
    ],
)
def test_read_document_that_is_no_text_is_refused(content: bytes, reason: str) -> None:
    """What is empty, binary or not UTF-8 is refused, and the message says which and for which document."""
    with pytest.raises(InvalidDocumentError, match=reason) as refused:
        read_document("a.md", content)
    assert "a.md" in str(refused.value)


def test_read_document_up_to_the_limit_is_kept() -> None:
    """Exactly the limit is allowed, one byte more is not; bytes count, not characters."""
    assert len(read_document("a.md", b"x" * MAX_DOCUMENT_BYTES)) == MAX_DOCUMENT_BYTES
    for content in (b"x" * (MAX_DOCUMENT_BYTES + 1), "é".encode() * (MAX_DOCUMENT_BYTES // 2 + 1)):
        with pytest.raises(DocumentTooLargeError, match=str(MAX_DOCUMENT_BYTES)):
            read_document("a.md", content)


@pytest.mark.parametrize("path", ["a", "docs/a.md", "Größe/漢字 🙂.md", ".hidden", "a..b", "x" * MAX_PATH_CHARACTERS])
def test_check_path_lets_plain_relative_paths_pass(path: str) -> None:
    """Relative paths with plain names in any script pass."""
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x" * (MAX_PATH_CHARACTERS + 1),
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\u202eb",
        "a\ud800b",
    ],
)
def test_check_path_refuses_what_cannot_be_kept_or_shown(path: str) -> None:
    """Absolute paths, ways upward, empty names, backslashes, and what cannot be printed are refused."""
    with pytest.raises(InvalidDocumentError):
        check_path(path)


@PROPERTY
@given(st.text(max_size=20), st.binary(max_size=50))
def test_any_upload_is_kept_or_refused_for_a_reason(path: str, content: bytes) -> None:
    """Whatever is uploaded is either text that was sent, or refused with our own error."""
    with contextlib.suppress(InvalidDocumentError):
        assert read_document(path, content).encode() == content.removeprefix(b"\xef\xbb\xbf")
