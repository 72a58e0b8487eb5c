"""What every artifact of the offline model has to withstand, whatever the documents are."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_typescript
from gherkin.parser import Parser

from orchestrator.llm.offline import OfflineModel
from orchestrator.llm.offline.wording import lines_of, one_line
from orchestrator.ports import Context, ModelChunk, ModelRequest, ModelText
from orchestrator.records import Artifact, Document

DOCUMENTS = Path(__file__).parent / "orchestrator" / "documents"
AGENT_TYPES = ("ba_consultant", "qa_consultant", "automation_consultant")
GHERKIN_BLOCK = re.compile(r"^```gherkin\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE_ROW = re.compile(r"^\| (?!ID |---)(.+) \|$", re.MULTILINE)
WORD = re.compile(r"[^\W_]+")


class RecordingClock:
    """A clock that never waits and keeps what it was asked to wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def document(path: str, text: str) -> Document:
    """A document of a project with that path and text."""
    return Document(
        id=path,
        project_id="p",
        path=path,
        version=1,
        size=len(text.encode()),
        created_at="2026-01-01T00:00:00.000Z",
        text=text,
    )


def fixtures(*names: str) -> tuple[Document, ...]:
    """The documents of that name in the folder of documents for tests."""
    return tuple(document(f"docs/{name}", (DOCUMENTS / name).read_text(encoding="utf-8")) for name in names)


def request(
    agent_type: str, documents: Sequence[Document], earlier: Sequence[Artifact] = (), omitted: Sequence[str] = ()
) -> ModelRequest:
    """A request as an agent makes it."""
    context = Context(documents=tuple(documents), earlier=tuple(earlier), omitted=tuple(omitted))
    return ModelRequest(tenant="acme", agent_type=agent_type, instructions="Do it.", context=context)


async def chunks(asked: ModelRequest, pace_s: float = 0.0, clock: RecordingClock | None = None) -> list[ModelChunk]:
    """Everything that the offline model answers."""
    return [chunk async for chunk in OfflineModel(clock or RecordingClock(), pace_s).stream(asked)]


async def answer(
    agent_type: str, documents: Sequence[Document], earlier: Sequence[Artifact] = (), omitted: Sequence[str] = ()
) -> str:
    """The text that the offline model answers."""
    found = await chunks(request(agent_type, documents, earlier, omitted))
    return "".join(chunk.text for chunk in found if isinstance(chunk, ModelText))


def artifact(agent_type: str, content: str) -> Artifact:
    """An artifact as an agent before would have left it, titled by its first line."""
    title = content.split("\n", 1)[0].lstrip("#/ ")
    return Artifact(
        id=f"artifact-{agent_type}", run_id="r", step_id="s", agent_type=agent_type, title=title,
        artifact_type="any", content_type="text/plain", content=content,
    )  # fmt: skip


async def pipeline(documents: Sequence[Document]) -> tuple[str, str, str]:
    """What the three agents' model answers are in a sequential run."""
    earlier: list[Artifact] = []
    for agent_type in AGENT_TYPES:
        earlier.append(artifact(agent_type, await answer(agent_type, documents, earlier)))
    return earlier[0].content, earlier[1].content, earlier[2].content


def features(markdown: str) -> list[dict[str, Any]]:
    """Every Gherkin block, parsed by the reference parser; one that does not parse raises."""
    return [Parser().parse(block)["feature"] for block in GHERKIN_BLOCK.findall(markdown)]


def scenarios(markdown: str) -> list[dict[str, Any]]:
    """Every scenario of every Gherkin block, parsed."""
    return [child["scenario"] for feature in features(markdown) for child in feature["children"]]


def syntax_errors(typescript: str) -> list[str]:
    """What tree-sitter cannot make sense of; empty for a module that parses."""
    language = tree_sitter.Language(tree_sitter_typescript.language_typescript())
    root = tree_sitter.Parser(language).parse(typescript.encode()).root_node
    wrong, waiting = [], [root] if root.has_error else []
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            wrong.append(f"{node.start_point}: {node.text!r}")
        waiting.extend(node.children)
    return wrong


def test_titles(typescript: str) -> list[str]:
    """The titles of all tests of a module, as JavaScript reads them."""
    return [
        json.loads(title) for title in re.findall(r"^  test(?:\.fixme)?\((\".*\"), async", typescript, re.MULTILINE)
    ]


test_titles.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name


def references(text: str, documents: Sequence[Document]) -> list[tuple[str, str]]:
    """(the line of the artifact, the line of the document) of every reference in it; one to no line raises."""
    by_path = {one_line(each.path): lines_of(each.text) for each in documents}
    found = []
    for line in text.split("\n"):
        for path, lines in by_path.items():
            for number in re.findall(rf"(?<![\w./-]){re.escape(path)}:(\d+)", line.replace("\\|", "|")):
                assert 1 <= int(number) <= len(lines), f"{path}:{number} is no line: {line}"
                found.append((line, lines[int(number) - 1]))
    return found


def words(text: str) -> set[str]:
    """The words of a text, without case and without what cannot be seen."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return {word.casefold() for word in WORD.findall(visible)}


def untraced(text: str, documents: Sequence[Document]) -> list[str]:
    """Lines that refer to a line of a document and share no word with it."""
    paths = set().union(*(words(each.path) for each in documents))
    return [
        f"{line!r} has nothing of {source!r}"
        for line, source in references(text, documents)
        if words(source) - paths and not words(line) & words(source)
    ]
