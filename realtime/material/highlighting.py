"""Gherkin and TypeScript with their parts marked by classes.

One regular expression for each language reads on and never back, so the work is in proportion to the text whatever it
holds. Lexers that try again from each place take minutes for a few hundred kilobytes that were made to be difficult,
and a regular expression at work lets nothing else in the process have a turn.
"""

from __future__ import annotations

import re
from html import escape

from markupsafe import Markup

_GHERKIN = re.compile(
    r"""
      (?P<comment> ^[^\S\n]*+\#[^\n]*+ )
    | (?P<tag> (?<!\S)@[^\s@]++ )
    | (?P<keyword> ^[^\S\n]*+(?:
          (?:Feature|Rule|Background|Scenario[ ]Outline|Scenario[ ]Template|Scenarios|Scenario|Examples|Example):
        | (?:Given|When|Then|And|But|\*)(?=[ ]) ) )
    | (?P<string> "[^"\n]*+" | ^[^\S\n]*+(?:\"\"\"|```)[^\n]*+ )
    | (?P<variable> <[^<>\n]++> )
    | (?P<punctuation> \| )
    | (?P<number> (?<![\w-])\d[\w.]*+ )
    """,
    re.VERBOSE | re.MULTILINE,
)

_TYPESCRIPT = re.compile(
    r"""
      (?P<comment> //[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/)? )
    | (?P<string> "(?:[^"\\\n]|\\.)*+"? | '(?:[^'\\\n]|\\.)*+'? | `(?:[^`\\]|\\.)*+`? )
    | (?P<number> \b\d[\w.]*+ )
    | (?P<keyword> (?<![\w$.])(?:
          abstract|any|as|async|await|boolean|break|case|catch|class|const|continue|default|delete|do|else|enum|export
        | extends|false|finally|for|from|function|if|implements|import|in|instanceof|interface|let|never|new|null
        | number|of|private|protected|public|readonly|return|static|string|super|switch|this|throw|true|try|type
        | typeof|undefined|unknown|var|void|while|yield )(?![\w$]) )
    | (?P<name> (?<![\w$])[^\W\d][\w$]*+(?=\() )
    """,
    re.VERBOSE | re.DOTALL,
)

LANGUAGES = {
    "gherkin": _GHERKIN,
    "feature": _GHERKIN,
    "typescript": _TYPESCRIPT,
    "ts": _TYPESCRIPT,
    "javascript": _TYPESCRIPT,
    "js": _TYPESCRIPT,
}
"""What marks the parts of each language, by the names that fences in Markdown give it."""


def highlight(code: str, language: str) -> Markup:
    """``code`` with a span for each part that the language knows; as it is where the language is not known here.

    Without its tags it is ``code``, character for character.
    """
    parts = LANGUAGES.get(language.lower())
    if parts is None:
        return Markup(escape(code))  # noqa: S704  # escaped
    pieces: list[str] = []
    position = 0
    for match in parts.finditer(code):
        pieces.append(escape(code[position : match.start()]))
        pieces.append(f'<span class="{match.lastgroup}">{escape(match.group())}</span>')
        position = match.end()
    pieces.append(escape(code[position:]))
    return Markup("".join(pieces))  # noqa: S704  # all that is not a tag of ours is escaped
