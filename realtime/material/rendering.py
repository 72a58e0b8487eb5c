"""One artifact as HTML, by its content type."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from realtime.material.highlighting import highlight
from realtime.material.markdown import TooMuchError, render_markdown
from realtime.material.sources import Sources
from realtime.ports import ArtifactInfo, DocumentInfo

LONGEST = 128 * 1024
"""Characters of code and text: what is longer is shown as it is."""

LONGEST_PROSE = 64 * 1024
"""Characters of Markdown: made to be difficult, it takes a time that grows with their square."""

LONGEST_PLAIN = 256 * 1024
"""Characters of what is shown as it is."""

_LANGUAGES = {"text/x-gherkin": "gherkin", "text/x-typescript": "typescript"}


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """``html`` is the source itself, character for character between its tags, unless it is ``prose``.

    ``plain``: it was too much to be rendered in any other way than as it is. ``cut``: even so, this is only its
    beginning.
    """

    html: Markup
    prose: bool = False
    plain: bool = False
    cut: bool = False


def named_in(artifact: ArtifactInfo, sources: Sources) -> Sequence[DocumentInfo]:
    """The documents of which the artifact names lines, in the order of the text; none where it is shown as it is."""
    content = str(artifact.content)
    return () if len(content) > _longest(artifact) else sources.named_in(content)


def render(artifact: ArtifactInfo, sources: Sources) -> Rendered:
    """What to show of an artifact below its title; every ``path:line`` of one of the ``sources`` is a link."""
    content = str(artifact.content)
    if len(content) > _longest(artifact):
        return _plain(content)
    kind = _kind(artifact)
    if kind != "text/markdown":
        return Rendered(html=sources.linked(highlight(content, _LANGUAGES.get(kind, ""))))
    try:
        return Rendered(html=sources.linked(_laid_out(content, artifact.title)), prose=True)
    except TooMuchError:
        return _plain(content)


def _kind(artifact: ArtifactInfo) -> str:
    return artifact.content_type.partition(";")[0].strip().lower()


def _longest(artifact: ArtifactInfo) -> int:
    return LONGEST_PROSE if _kind(artifact) == "text/markdown" else LONGEST


def _plain(content: str) -> Rendered:
    return Rendered(html=escape(content[:LONGEST_PLAIN]), plain=True, cut=len(content) > LONGEST_PLAIN)


def _laid_out(content: str, title: str) -> Markup:
    """Markdown below its title, which is a heading of the second level; a first line that repeats it is left out."""
    said = f"# {title}\n"
    if content.startswith(said):
        return render_markdown(content.removeprefix(said), headings_above=1)
    return render_markdown(content, headings_above=2)
