"""Words: from the documents into plain text, and from plain text safely into Markdown."""

from __future__ import annotations

import html
import re
import unicodedata

QUOTE_LIMIT = 240
"""Characters of a quotation; what is longer ends in an ellipsis."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\](?:\([^()\s]{0,500}(?: [^()]{0,200})?\)|\[[^\[\]]{0,100}\])")
_LITERAL = re.compile(r"\\(?P<escaped>[!-/:-@\[-`{-~])|(?P<ticks>`{1,3})(?P<code>[^`]{1,400}?)(?P=ticks)(?!`)")
_KEPT_APART = re.compile("\0([0-9]{1,9})\0")
_STARS = re.compile(r"(\*{1,3})(?=\S)([^*]{1,400}?)(?<=\S)\1(?!\*)")
_UNDERSCORES = re.compile(r"(?<!\w)(_{1,3})(?=\S)([^_]{1,400}?)(?<=\S)\1(?!\w)")
_STRIKE = re.compile(r"~~([^~]{1,400}?)~~")
_TAG = re.compile(r"</?(?:br|b|i|em|strong|code|kbd|sub|sup|span|a|p|div|u|small|mark)(?:\s[^<>]{0,300})?/?>", re.I)
_AUTOLINK = re.compile(r"<(https?://[^<>\s]{1,500})>")
_JOINERS = "\u200c\u200d"  # several scripts and emoji are spelled with them
_MARKDOWN_SPECIAL = re.compile(r"[\\`*<\[\]~|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w{1,32};)")
_PIPE = "\\|"
_WORD = re.compile(r"[^\W_]+")
_COMMON = frozenset(
    _WORD.findall(
        "a an and any are as at be been but by can do does each every for from given had has have he her his i if "
        "in into is it its may might must no nor not of on only or our shall she should so such than that the their "
        "them then there these they this those to too up was we were what when where which while who will with would "
        "you your"
    )
)


def lines_of(text: str) -> list[str]:
    """The lines of a document as an editor numbers them: ``\\n``, ``\\r\\n`` and ``\\r`` end a line, nothing else."""
    return _LINE_END.split(text.removeprefix("\ufeff"))


def one_line(text: str) -> str:
    """The text on one line: white space of any kind becomes one space; invisible and bidi characters go."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = " ".join(text.split())
    return " ".join("".join(c for c in spaced if _is_visible(c)).split())


def _is_visible(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}


def plain(text: str) -> str:
    """Inline Markdown as the words a reader sees, on one line. Code spans and escaped characters stay as they are."""
    spans: list[str] = []

    def kept_apart(match: re.Match[str]) -> str:
        spans.append(match["escaped"] or match["code"])
        return f"\0{len(spans) - 1}\0"

    text = _LITERAL.sub(kept_apart, text.replace("\0", " "))
    text = _AUTOLINK.sub(r"\1", _TAG.sub(" ", text))
    text = _LINK.sub(r"\1", text)
    for emphasis in (_STARS, _STARS, _UNDERSCORES):
        text = emphasis.sub(r"\2", text)
    text = html.unescape(_STRIKE.sub(r"\1", text))
    return one_line(_KEPT_APART.sub(lambda match: spans[int(match.group(1))], text))


def clip(text: str, limit: int = QUOTE_LIMIT) -> str:
    """At most ``limit`` characters, cut between words where there is one, with an ellipsis where something is cut."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    at_word = head.rpartition(" ")[0]
    return (at_word if len(at_word) > limit // 2 else head).rstrip() + "…"


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``3 criteria``: the noun in the number that fits."""
    if number == 1:
        return f"1 {noun}"
    plural = {"criterion": "criteria", "entry": "entries"}.get(noun, f"{noun}s")
    return f"{number} {plural}"


def significant(text: str) -> frozenset[str]:
    """The words that carry meaning, without case and the commonest endings, so that two wordings can be compared."""
    found = (word.casefold() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in found if word not in _COMMON and len(word) > 1)


def _stem(word: str) -> str:
    for ending in ("ing", "ied", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word.removesuffix("e") if len(word) > 4 else word


def markdown(text: str) -> str:
    """Plain text such that Markdown shows exactly it, in a paragraph, a list item or a table cell."""
    return _MARKDOWN_SPECIAL.sub(lambda match: "\\" + match.group(), one_line(text))


def code(text: str) -> str:
    """Plain text as a code span that is also safe in a table cell; with backticks in it, escaped instead."""
    inner = one_line(text)
    return markdown(inner) if "`" in inner else f"`{inner.replace('|', _PIPE)}`"
