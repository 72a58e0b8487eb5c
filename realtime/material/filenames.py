"""Names under which people find what they downloaded."""

from __future__ import annotations

import re
from urllib.parse import quote

LONGEST_STEM = 80

_NO_WORD = re.compile(r"[\W_]+")
_EXTENSIONS = {
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "text/x-gherkin": "feature",
    "text/x-typescript": "spec.ts",
    "application/json": "json",
}


def attachment(title: str, content_type: str) -> str:
    """The ``Content-Disposition`` of a file with such a title and content, under a name that every system takes.

    Clients that cannot read a name in any script find one in ASCII. https://www.rfc-editor.org/rfc/rfc6266#section-4.3
    """
    extension = _EXTENSIONS.get(content_type.partition(";")[0].strip().lower(), "txt")
    stem = _stem(title)
    plain = _stem(stem.encode("ascii", "ignore").decode())
    header = f'attachment; filename="{plain}.{extension}"'
    return header if plain == stem else f"{header}; filename*=UTF-8''{quote(stem, safe='')}.{extension}"


def _stem(title: str) -> str:
    return _NO_WORD.sub("-", title.lower()).strip("-")[:LONGEST_STEM].strip("-") or "artifact"
