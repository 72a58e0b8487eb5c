"""One artifact as HTML, by its content type."""

from __future__ import annotations

import msgspec
from markupsafe import Markup, escape

from realtime.material.highlighting import highlight
from realtime.material.markdown import TooMuchError, render_markdown
from realtime.material.sources import Sources
from realtime.ports import ArtifactInfo

LONGEST = 128 * 1024
"""Characters: what is longer is shown as it is, in one piece."""

_LANGUAGES = {"text/x-gherkin": "gherkin", "text/x-typescript": "typescript"}


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """``html`` is the source itself, character for character between its tags, unless it is ``prose``.

    ``plain``: it was too much to be rendered in any other way than as it is.
    """

    html: Markup
    prose: bool = False
    plain: bool = False


def render(artifact: ArtifactInfo, sources: Sources) -> Rendered:
    """What to show of an artifact below its title; every ``path:line`` of one of the ``sources`` is a link."""
    content = str(artifact.content)
    if len(content) > LONGEST:
        return Rendered(html=escape(content), plain=True)
    kind = artifact.content_type.partition(";")[0].strip().lower()
    if kind != "text/markdown":
        return Rendered(html=sources.linked(highlight(content, _LANGUAGES.get(kind, ""))))
    try:
        return Rendered(html=sources.linked(_laid_out(content, artifact.title)), prose=True)
    except TooMuchError:
        return Rendered(html=escape(content), plain=True)


def _laid_out(content: str, title: str) -> Markup:
    """Markdown below its title, which is a heading of the second level; a first line that repeats it is left out."""
    said = f"# {title}\n"
    if content.startswith(said):
        return render_markdown(content.removeprefix(said), headings_above=1)
    return render_markdown(content, headings_above=2)
