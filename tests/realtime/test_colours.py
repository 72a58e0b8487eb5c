"""The pages' colours, read from their tokens: what is read, or has to be seen, has the contrast of WCAG 2.2 AA."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[2] / "realtime" / "web" / "static" / "style" / "tokens.css"
PAIR = re.compile(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);")
SCHEMES = ("light", "dark")
STATES = ("grey", "blue", "green", "red", "amber")

TEXT = [
    *((text, ground) for text in ("text", "muted", "link") for ground in ("ground", "panel", "raised")),
    *(("text", f"{state}-ground") for state in STATES),
    *(("muted", f"{state}-ground") for state in ("grey", "blue")),
    *((f"{state}-text", ground) for state in STATES for ground in (f"{state}-ground", "panel", "ground")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]
"""What is read on what: 4.5 to 1."""

SEEN = [
    *(
        (mark, ground)
        for mark in ("accent", "green", "red", "amber", "field")
        for ground in ("ground", "panel", "raised")
    ),
    *((mark, "rail") for mark in ("accent", "green", "red", "amber")),
    ("link", "raised"),
]
"""What has to be told apart from what, to know a control or a state: 3 to 1."""


def colours(scheme: str) -> dict[str, str]:
    """The colours of that scheme, by name."""
    at = SCHEMES.index(scheme)
    return {name: both[at] for name, *both in PAIR.findall(TOKENS.read_text())}


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (SEEN, 3.0)], ids=["text", "seen"])
def test_colours_that_meet_have_enough_contrast(scheme: str, pairs: list[tuple[str, str]], least: float) -> None:
    """In both schemes, for every pair that the pages put together."""
    of = colours(scheme)
    low = {f"{front} on {back}": round(contrast(of[front], of[back]), 2) for front, back in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < least} == {}
