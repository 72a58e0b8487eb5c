"""Finding documents for import: which files, under which names, and why not the others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

SUFFIXES = frozenset({".md", ".markdown", ".txt", ".text", ".rst"})
SKIPPED_FOLDERS = frozenset({"node_modules", "venv", "__pycache__"})
MAX_BYTES = 5_000_000


class Found(msgspec.Struct, frozen=True):
    """One file: the path that the document will have, and its content, or why it cannot be read."""

    name: str
    content: bytes = b""
    problem: str | None = None


def find_documents(paths: Sequence[Path]) -> Iterator[Found]:
    """The documents at ``paths``, folders walked in order of name, each file once.

    A folder gives its Markdown and text files; hidden folders and those of tools are left out. A file that is named
    itself is always mentioned. Two files that would have one name: the second is a problem.
    """
    names: dict[str, Path] = {}
    for path in paths:
        for file in _walk(path):
            real = file.resolve()
            if real in names.values():
                continue
            name = _name(path, file)
            if names.setdefault(name, real) == real:
                yield _read(name, file)
            else:
                yield Found(name, problem=f"{names[name]} has this name already")


def _walk(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(folder, name)


def _name(given: Path, file: Path) -> str:
    """The path as it was typed; for one that leaves the current folder, from the last folder that was typed."""
    if given.is_absolute() or ".." in given.parts:
        root = given.resolve()
        return file.resolve().name if file == given else Path(root.name, file.relative_to(given)).as_posix()
    return file.as_posix()


def _read(name: str, file: Path) -> Found:
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):
            return Found(name, problem="it is not a file")
        if file.suffix.lower() not in SUFFIXES:
            return Found(name, problem=f"it is not Markdown or text ({' '.join(sorted(SUFFIXES))})")
        if facts.st_size > MAX_BYTES:
            return Found(name, problem=f"it has {facts.st_size} bytes; at most {MAX_BYTES} can be kept")
        return Found(name, file.read_bytes())
    except OSError as error:
        return Found(name, problem=f"it cannot be read: {error.strerror}")
