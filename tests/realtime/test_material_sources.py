"""Links from what agents write to the lines that it comes from."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup, escape

from realtime.material import Sources, named_in, render
from realtime.material.highlighting import highlight
from realtime.material.markdown import render_markdown
from realtime.material.rendering import LONGEST, LONGEST_PLAIN, LONGEST_PROSE
from realtime.material.sources import MOST_LINES
from realtime.ports import ArtifactInfo, DocumentInfo

ENDLESS_TABLE = "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + "|\n" * 130 + "\n"


def document(path: str) -> DocumentInfo:
    """A document whose id is its path."""
    return DocumentInfo(id=path, project_id="p", path=path, version=1, size=1, created_at="2026-01-01T00:00:00.000Z")


def links(rendered: Markup) -> list[tuple[str, str]]:
    """Where each link leads, and its text."""
    address = r"/projects/p/documents/([^\"]*)\?line=([0-9]+)#L\2"
    found = re.findall(rf'<a class="source" href="{address}"[^>]*>(.*?)</a>', rendered)
    return [(f"{Markup(path).unescape()}#L{line}", Markup(text).striptags()) for path, line, text in found]


def linked(text: str, *paths: str) -> list[tuple[str, str]]:
    """The links in a plain text, where there are documents with these paths."""
    return links(Sources(map(document, paths)).linked(escape(text)))


def test_line_of_a_document_becomes_a_link_with_its_text() -> None:
    """The address is that of the line, the title what stands there; the text stays what it was."""
    sources = Sources([document("shop.md")]).titled({"shop.md": '# Shop\n\n  - "A" <b> & c  \n'})
    assert sources.linked(escape("(shop.md:3).")) == (
        '(<a class="source" href="/projects/p/documents/shop.md?line=3#L3" '
        'title="- &quot;A&quot; &lt;b&gt; &amp; c">shop.md:3</a>).'
    )


@pytest.mark.parametrize("text", ["shop.md:2", "shop.md:99", "other.md:1"])
def test_line_without_text_has_a_link_without_a_title(text: str) -> None:
    """An empty line, one that is there no more, and a document whose text is not at hand have nothing to show."""
    sources = Sources([document("shop.md"), document("other.md")]).titled({"shop.md": "# Shop\n\nb"})
    assert "title" not in sources.linked(escape(text))
    assert len(links(sources.linked(escape(text)))) == 1


def test_longest_path_wins() -> None:
    """Of paths that end alike the whole one is meant, also with folders and spaces; part of another path is none."""
    paths = ("shop.md", "my shop.md", "specs/shop.md", "specs/my shop.md")
    text = "shop.md:1, my shop.md:2, specs/shop.md:3, specs/my shop.md:4; old-shop.md:5 a/shop.md:6 xshop.md:7"
    assert linked(text, *paths) == [
        ("shop.md#L1", "shop.md:1"),
        ("my shop.md#L2", "my shop.md:2"),
        ("specs/shop.md#L3", "specs/shop.md:3"),
        ("specs/my shop.md#L4", "specs/my shop.md:4"),
    ]


def test_path_that_looks_like_a_line_is_the_longer_one() -> None:
    """A colon and a number can end a path."""
    assert linked("a:3:5 a:3", "a", "a:3") == [("a:3#L5", "a:3:5"), ("a#L3", "a:3")]


def test_path_is_taken_literally() -> None:
    """What means something to regular expressions or HTML means itself; spaces are as agents quote them."""
    paths = ("a.(b)*+?[c]^$|{1}.md", "<i>&amp;\"'.md", "two  spaces.md", "größe.md")
    quoted = [" ".join(path.split()) for path in paths]
    assert linked("; ".join(f"{path}:7" for path in quoted), *paths) == [
        (f"{path}#L7", f"{quote}:7") for path, quote in zip(paths, quoted, strict=True)
    ]
    assert linked("axb.md:1", "a.b.md") == []


@pytest.mark.parametrize(
    "text", ["shop.md", "shop.md:", "shop.md:0", "shop.md:x", "shop.md:3rd", "shop.md:12345678", ":3"]
)
def test_what_is_no_line_stays_text(text: str) -> None:
    """A number from 1 on stands behind the colon, and nothing that goes on with it."""
    assert linked(text, "shop.md") == []


def test_lines_are_links_in_text_tables_code_and_highlighted_code() -> None:
    """Wherever agents name a line; not inside links of their own, nor in attributes."""
    written = (
        "In a\\_b.md:1.\n\n| a |\n|---|\n| `a_b.md:2`, x\\|y.md:3 |\n\n```gherkin\n  # Source: a_b.md:4 — a\n```\n\n"
        "[a_b.md:5](https://example.test/a_b.md:6 'a_b.md:7') <https://example.test/a_b.md:8>\n"
    )
    sources = Sources(map(document, ("a_b.md", "x|y.md")))
    assert [text for _, text in links(sources.linked(render_markdown(written, headings_above=2)))] == [
        "a_b.md:1", "a_b.md:2", "x|y.md:3", "a_b.md:4"
    ]  # fmt: skip
    code = highlight("// a_b.md:1, body from a_b.md:2\ntest.step('a', () => {}); // a_b.md:3\n", "typescript")
    assert [text for _, text in links(sources.linked(code))] == ["a_b.md:1", "a_b.md:2", "a_b.md:3"]


def test_hostile_path_breaks_out_of_nothing() -> None:
    """A document can have any name; it is escaped in text and attributes."""
    path = '"><script>alert(1)</script>.md'
    sources = Sources([document(path)]).titled({path: '"><script>alert(1)</script>'})
    assert "<script" not in sources.linked(escape(f"{path}:1"))
    assert links(sources.linked(escape(f"{path}:1"))) == [(f"{path}#L1", f"{path}:1")]


def test_documents_named_are_each_told_once_in_order() -> None:
    """What is looked up for the titles is only what the text names."""
    sources = Sources(map(document, ("a.md", "b.md", "c.md")))
    assert [found.path for found in sources.named_in("b.md:1 a.md:2 b.md:3 c.md")] == ["b.md", "a.md"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("before", ["", "b.md", "a.md", f"b{'a' * 289}.md"])
def test_many_lines_and_documents_take_a_time_in_proportion(before: str) -> None:
    """The number of documents hardly matters, nor how many lengths their paths have, nor what is before a line."""
    sources = Sources(document(f"{'a' * length}.md") for length in range(1, 291))
    text = f"{before}:1 " * (LONGEST // len(f"{before}:1 "))
    expected = min(MOST_LINES, text.count(":")) if before == "a.md" else 0
    assert len(sources.named_in(text)) == (expected > 0)
    assert len(links(sources.linked(escape(text)))) == expected


def test_lines_after_the_most_are_no_links() -> None:
    """Counted over the whole text, however many tags are in it."""
    sources = Sources([document("a.md")])
    rendered = Markup("<td>a.md:1</td>b:1 ") * (MOST_LINES // 2 + 1)
    assert len(links(sources.linked(rendered))) == MOST_LINES // 2
    assert sources.named_in(":1 " * MOST_LINES + "a.md:1") == []


def artifact(content: str, content_type: str, title: str = "Shop") -> ArtifactInfo:
    """An artifact with that content."""
    return ArtifactInfo(
        id="a", run_id="r", agent_type="x", title=title, artifact_type="t", content_type=content_type,
        created_at="2026-01-01T00:00:00.000Z", content=content,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/markdown", "<h3>a</h3>\n"),
        ("Text/Markdown; charset=utf-8", "<h3>a</h3>\n"),
        ("text/x-gherkin", '<span class="comment"># a</span>'),
        ("text/x-typescript", "# a"),
        ("text/html", "# a"),
        ("text/csv", "# a"),
        ("", "# a"),
    ],
)
def test_artifact_is_rendered_by_its_type(content_type: str, expected: str) -> None:
    """Markdown is laid out, Gherkin and TypeScript are highlighted, all else is text."""
    assert render(artifact("# a", content_type), Sources([])).html == expected


def test_artifact_does_not_say_its_title_twice() -> None:
    """A first heading that is the title stands above already; what stood below it, still does."""
    html = render(artifact("# Shop\n\n# Shop\n\n## Basket\n", "text/markdown"), Sources([])).html
    assert html == "<h2>Shop</h2>\n<h3>Basket</h3>\n"


@pytest.mark.parametrize("content", ["# a\n" * 200_000, ENDLESS_TABLE * 20, ENDLESS_TABLE * 3])
def test_artifact_that_is_too_much_is_shown_as_it_is(content: str) -> None:
    """It is said to be plain; a browser gets only as much as it shows at once, and is told of the rest."""
    rendered = render(artifact(content, "text/markdown"), Sources([]))
    assert (rendered.plain, rendered.prose, rendered.html) == (True, False, content[:LONGEST_PLAIN])
    assert rendered.cut == (len(content) > LONGEST_PLAIN)


@pytest.mark.parametrize(("content_type", "longest"), [("text/markdown", LONGEST_PROSE), ("text/csv", LONGEST)])
def test_artifact_that_is_shown_as_it_is_names_no_document(content_type: str, longest: int) -> None:
    """There will be no link, so no document is looked for in it."""
    sources = Sources([document("a.md")])
    for length, expected in ((longest, 1), (longest + 1, 0)):
        long = artifact("a.md:1".ljust(length), content_type)
        assert len(named_in(long, sources)) == expected
        assert len(links(render(long, sources).html)) == expected
