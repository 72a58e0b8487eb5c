"""Markdown that nobody vouches for, as HTML that a strict page may show."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from realtime.material.markdown import TooMuchError
from realtime.material.markdown import render_markdown as render_below

ALLOWED = {
    **{tag: set() for tag in ("p", "br", "hr", "em", "strong", "blockquote", "ul", "table", "thead", "tbody", "tr")},
    **{tag: set() for tag in ("h3", "h4", "h5", "h6")},
    "a": {"href", "title", "rel"},
    "code": set(),
    "div": {"class", "role", "aria-label", "tabindex"},
    "li": {"class"},
    "ol": {"start"},
    "pre": {"class"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
"""Every element that may come out, with the attributes it may have."""


def render_markdown(text: str) -> str:
    """Rendered for a page that has two levels of headings itself."""
    return render_below(text, headings_above=2)


class Markup(HTMLParser):
    """The elements of some HTML, checked against what is allowed, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert {name for name, _ in attrs} <= ALLOWED[tag], (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"br", "hr"}
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of each element with one of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "a <b onclick=alert(1)>b</b> <img src=x onerror=alert(1)>",
        "| a |\n|---|\n| <img src=x onerror=alert(1)> |\n| </td></table><script>alert(1)</script> |",
        "```</code></pre><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```",
        '```"><script>alert(1)</script>\nx\n```',
        '    "><script>alert(1)</script>',
        "`</code><script>alert(1)</script>`",
        "<!-- --><![CDATA[ <x> ]]><?php ?><!DOCTYPE html>",
        '[a](https://example.test/"onmouseover="alert(1) "\\"><script>")',
        "<https://example.test/\"><script>alert(1)</script>>",
        "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
        "a\0b \x1b[31m \u202egnp.exe\u2066 \ufeff",
        "[a]: <https://example.test> '\"><script>'\n\n[a]",
    ],
)  # fmt: skip
def test_hostile_text_makes_no_element_of_its_own(hostile: str) -> None:
    """Whatever an artifact says, its HTML has only elements and attributes that are made here, in good order."""
    shown = Markup(render_markdown(hostile))
    assert "script" not in {tag for tag, _ in shown.elements}
    assert "\0" not in shown.text


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "&#106;avascript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "data:image/svg+xml,x",
        "file:///etc/passwd",
        "//example.test/x",
        "/api/v1/session",
        "shop.md",
        "blob:x",
    ],
)
def test_link_to_anything_but_the_web_is_no_link(address: str) -> None:
    """Only http, https and mailto are followed; what else was written stays text."""
    for written in (f"[here]({address})", f"<{address}>", f"![here]({address})", f"[here][1]\n\n[1]: {address}"):
        assert Markup(render_markdown(written)).of("a") == []


def test_link_without_target_is_its_text() -> None:
    """An empty address would lead to the page itself; the links beside it stay."""
    shown = Markup(render_markdown("- [ ] [**a** b]() c [d](http://e.test)\n\n| [f]() |\n|---|\n"))
    assert [link["href"] for link in shown.of("a")] == ["http://e.test"]
    assert " ".join(shown.text.split()) == "\u2610 a b c d f"


def test_link_to_the_web_gives_nothing_away() -> None:
    """A link that is followed brings neither where it was nor a handle on the page."""
    written = "[a](https://example.test/a?b=c&d 'e') <mailto:a@example.test> ![pic](http://example.test/p.png)"
    links = Markup(render_markdown(written)).of("a")
    assert [link["href"] for link in links] == [
        "https://example.test/a?b=c&d", "mailto:a@example.test", "http://example.test/p.png"
    ]  # fmt: skip
    assert {link["rel"] for link in links} == {"noopener noreferrer nofollow"}


def test_headings_stand_below_those_of_the_page() -> None:
    """The page has the first two levels; what is deeper than HTML goes shares the last."""
    shown = Markup(render_markdown("# a\n\n## b\n\n###### c\n\nd\n==="))
    assert [tag for tag, _ in shown.elements] == ["h3", "h4", "h6", "h3"]


def test_table_is_aligned_by_class_and_scrolls_by_keyboard() -> None:
    """The policy forbids styles; a table wider than the page is in a box that can be reached and scrolled."""
    shown = Markup(render_markdown("| a | b | c |\n|:--|:-:|--:|\n| 1 | 2\\|3 | |\n"))
    assert [cell.get("class") for cell in shown.of("td")] == ["align-left", "align-center", "align-right"]
    assert shown.of("div") == [{"class": "scrolls", "role": "group", "aria-label": "Table", "tabindex": "0"}]
    assert "2|3" in shown.text


def test_tasks_are_boxes_and_other_brackets_stay() -> None:
    """What is to be done and what is done look so, at any depth; brackets elsewhere mean nothing."""
    shown = Markup(render_markdown("- [ ] **a** b\n  - [x] c\n- [x]d\n- [ ]\n- e [ ] f\n\n[ ] g"))
    assert [item.get("class") for item in shown.of("li")] == ["task", "task", None, None, None]
    assert "☐ a b" in shown.text
    assert "☑ c" in shown.text
    assert "e [ ] f" in shown.text


def test_fence_is_highlighted_in_its_language() -> None:
    """The name behind the fence decides; of a language that is not known here, the code is shown as it is."""
    shown = Markup(
        render_markdown("```gherkin\nFeature: A\n```\n\n```ts title\nconst a = 1;\n```\n\n```cobol\nADD 1.\n```")
    )
    assert [span["class"] for span in shown.of("span")] == ["keyword", "keyword", "number"]
    assert shown.of("pre") == [{"class": "code"}] * 3
    assert shown.text == "Feature: A\n\nconst a = 1;\n\nADD 1.\n\n"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["> ", "- ", "[", "![", "[a](", "[a](<b", "*a_ ", "`a``b", "&", "<http:", "a\n> "])
def test_deep_and_endless_text_takes_a_time_in_proportion(unit: str) -> None:
    """Nothing that can be repeated takes more than its share: 15 000 characters, and the test has a time limit."""
    Markup(render_markdown(unit * (15_000 // len(unit))))
    Markup(render_markdown("".join(f"{'  ' * depth}- a\n" for depth in range(200))))


def test_table_that_asks_for_endless_cells_is_refused() -> None:
    """A short row has as many cells as the head: a few bytes would become megabytes."""
    wide = "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + "|\n" * 130 + "\n"
    with pytest.raises(TooMuchError):
        render_markdown(wide * 20)
