"""What scripts and stylesheets import, read from their text: for pages to ask for all of it at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

_IMPORT = {
    ".js": re.compile(r"""^(?:import|export)\b(?:[\w$*{},\s]*\bfrom\b)?\s*["'](\.\.?/[^"']+)["']""", re.MULTILINE),
    ".css": re.compile(r"""^@import\s+url\(["'](?!/)([^"':]+)["']\)""", re.MULTILINE),
}
"""Of a neighbour, at the start of a line: static imports and re-exports, in comments none."""


def imported_files(entry: str, texts: Mapping[str, str]) -> tuple[str, ...]:
    """All that the module or stylesheet ``entry`` imports, itself or through others, each once, in a browser's order.

    ``texts`` has all there are, by their paths below one folder. ``import()`` and bare names are left out.

    Raises:
        LookupError: a file, or one that it imports, is not among ``texts``.

    """
    found = [entry]
    for importer in found:  # which becomes longer meanwhile
        for address in _IMPORT[posixpath.splitext(importer)[1]].findall(texts[importer]):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(importer), address))
            if name not in texts:
                raise LookupError(f"{importer} imports {address}, expected a file at {name}")
            if name not in found:
                found.append(name)
    return tuple(found[1:])
