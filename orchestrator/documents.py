"""What can be a document of a project: text, under a path that can be shown and quoted."""

from __future__ import annotations

import unicodedata

from orchestrator.errors import DocumentTooLargeError, InvalidDocumentError
from orchestrator.records import MAX_DOCUMENT_BYTES

MAX_PATH_CHARACTERS = 300


def read_document(path: str, content: bytes) -> str:
    """The text of a document, without a byte order mark.

    Raises:
        DocumentTooLargeError: it has more than ``MAX_DOCUMENT_BYTES``.
        InvalidDocumentError: it is empty, binary, not UTF-8, or ``path`` cannot be kept.

    """
    check_path(path)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise DocumentTooLargeError(f"{path} has {len(content)} bytes; at most {MAX_DOCUMENT_BYTES} can be kept.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(
            f"{path} is not UTF-8 text (byte {error.start}); expected Markdown or text."
        ) from None
    if "\x00" in text:
        raise InvalidDocumentError(f"{path} is a binary file; expected Markdown or text.")
    if not text.strip():
        raise InvalidDocumentError(f"{path} is empty.")
    return text


def check_path(path: str) -> None:
    """Let only paths pass that are relative, stay below their root, and can be printed.

    Raises:
        InvalidDocumentError: it is none of these.

    """
    parts = path.split("/")
    if not path or len(path) > MAX_PATH_CHARACTERS:
        raise InvalidDocumentError(f"A document's path must have 1 to {MAX_PATH_CHARACTERS} characters.")
    if any(unicodedata.category(character).startswith("C") for character in path):
        raise InvalidDocumentError("A document's path must not contain control characters.")
    if path.startswith("/") or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise InvalidDocumentError(f"{path!r} is not a relative path with plain names.")
