"""Markdown as HTML that is safe to show, in what a strict content security policy allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup

from realtime.material.highlighting import highlight

MOST_TOKENS = 100_000
"""Of blocks. A few characters of a table can ask for any number of cells."""

_LINK = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)
_TASK = re.compile(r"\[([ xX])\](?=\s)")


class TooMuchError(Exception):
    """The text asks for more HTML than is sensible."""


class _Renderer(RendererHTML):
    """What differs from CommonMark's own HTML: highlighted code, tables that scroll, links that give nothing away."""

    def fence(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Code, highlighted where its language is known."""
        language = tokens[index].info.strip().partition(" ")[0]
        return _code(highlight(tokens[index].content, language))

    def code_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Code of no language."""
        return _code(highlight(tokens[index].content, ""))

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """A link to elsewhere."""
        tokens[index].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, index, options, env)

    def table_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """A table in a box that scrolls by itself, also by keyboard."""
        return '<div class="scrolls" role="group" aria-label="Table" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """The end of both."""
        return "</table></div>\n"


def _code(highlighted: Markup) -> str:
    return f'<pre class="code"><code>{highlighted}</code></pre>\n'


def _has_too_much(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A block rule that never matches; it is asked at the beginning of every block."""
    if len(state.tokens) > MOST_TOKENS:
        raise TooMuchError(f"{len(state.tokens)} tokens by line {start_line}; expected at most {MOST_TOKENS}")
    return False


def _suit_page(state: StateCore) -> None:
    """Headings below those of the page, alignment without styles, and boxes for what is to be done."""
    for index, token in enumerate(state.tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1:]) + state.env['above'])}"
        elif token.type in {"th_open", "td_open"} and "style" in token.attrs:
            token.attrs = {"class": str(token.attrs["style"]).replace("text-align:", "align-")}
        elif token.type == "list_item_open":
            _mark_task(token, state.tokens[index + 1 : index + 3])
        elif token.type == "inline":
            token.children = [*_without_empty_links(token.children or [])]


def _mark_task(item: Token, within: Sequence[Token]) -> None:
    if [token.type for token in within] != ["paragraph_open", "inline"]:
        return
    for words in (within[1].children or [])[:1]:
        if words.type == "text" and (match := _TASK.match(words.content)):
            item.attrSet("class", "task")
            words.content = ("☐" if match.group(1) == " " else "☑") + words.content[match.end() :]


def _without_empty_links(inline: Iterable[Token]) -> Iterator[Token]:
    """A link that leads nowhere is its text. No link is in another."""
    empty = False
    for token in inline:
        if token.type == "link_open":
            empty = not token.attrs["href"]
        if not (empty and token.type in {"link_open", "link_close"}):
            yield token


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table").disable("image")
    parser.block.ruler.before("table", "too_much", _has_too_much)
    parser.core.ruler.push("suit_page", _suit_page)
    parser.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    return parser


_PARSER = _parser()


def render_markdown(text: str, *, headings_above: int) -> Markup:
    """CommonMark with tables as HTML: no HTML of the text's own, no pictures, links to http, https and mailto only.

    ``headings_above``: the page has so many levels of headings before those of the text.

    Raises:
        TooMuchError: there would be far too much of it.

    """
    return Markup(_PARSER.render(text, {"above": headings_above}))  # noqa: S704  # the parser escapes
