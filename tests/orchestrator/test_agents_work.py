"""The agents: what they ask a model, and what they hand in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from offline_checks import AGENT_TYPES, RecordingClock, fixtures, syntax_errors

from orchestrator.agents import AGENTS
from orchestrator.agents.base import without_fence
from orchestrator.context import build_context
from orchestrator.errors import BudgetExceededError, ModelError
from orchestrator.llm.offline import OfflineModel
from orchestrator.pipeline import AGENT_TYPES as CATALOGUE
from orchestrator.ports import ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage

KINDS = {
    "ba_consultant": ("coverage_matrix", "text/markdown"),
    "qa_consultant": ("test_checklist", "text/markdown"),
    "automation_consultant": ("playwright_script", "text/x-typescript"),
}


class Scripted:
    """A model that answers what it is told to and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *answers: ModelChunk | Exception) -> None:
        self._answers = answers
        self.asked: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.asked.append(request)
        for chunk in self._answers:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


def ignore(percent: int, label: str) -> None:
    """Progress that nobody looks at."""


def test_agents_are_those_of_the_catalogue() -> None:
    """Every agent that can be selected exists, and no other."""
    assert tuple(AGENTS) == CATALOGUE == AGENT_TYPES
    assert all(agent.agent_type == agent_type for agent_type, agent in AGENTS.items())


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_agent_on_offline_model_hands_in_titled_artifact_and_reports_progress(agent_type: str) -> None:
    """On the offline model an agent gives an artifact of its kind, titled by its content, with its cost."""
    reported: list[tuple[int, str]] = []
    context = build_context(fixtures("orders-api.md", "checkout-story.md"))
    result = await AGENTS[agent_type].work(
        "acme", context, OfflineModel(RecordingClock()), lambda percent, label: reported.append((percent, label))
    )
    assert (result.artifact_type, result.content_type) == KINDS[agent_type]
    assert any(character.isdigit() for character in result.title)
    assert result.title in result.content.split("\n")[0]
    assert result.tokens_used > 1000
    assert reported[0] == (0, "Reading docs/checkout-story.md (1 of 2)")
    assert result.content.endswith("\n")
    if agent_type == "automation_consultant":
        assert syntax_errors(result.content) == []


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_request_carries_versioned_instructions_tenant_and_context(agent_type: str) -> None:
    """The model gets the agent's prompt with its version, whose work it is, and the context unchanged."""
    model = Scripted(ModelText("// x\n" if agent_type == "automation_consultant" else "# x\n"), ModelUsage(3))
    context = build_context(fixtures("memo.txt"))
    await AGENTS[agent_type].work("acme", context, model, ignore)
    (asked,) = model.asked
    assert (asked.tenant, asked.agent_type, asked.context) == ("acme", agent_type, context)
    assert asked.instructions.startswith(f"<!-- {agent_type}, prompt version ")
    assert "path:line" in asked.instructions


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
@pytest.mark.parametrize("text", ["", " \n\n", "```\n```", "Sorry, I cannot do that."])
async def test_unusable_answer_model_error(agent_type: str, text: str) -> None:
    """An empty answer, or one that is no artifact, fails the attempt instead of becoming an artifact."""
    with pytest.raises(ModelError, match=agent_type):
        await AGENTS[agent_type].work("acme", build_context([]), Scripted(ModelText(text)), ignore)


async def test_fenced_script_taken_out_of_its_fence_and_usage_added_up() -> None:
    """A fence that a model puts round the module is taken off; every usage counts."""
    model = Scripted(
        ModelProgress(5, "thinking"), ModelText("```types"), ModelText("cript\n// Tests\nexport {};\n```\n"),
        ModelUsage(3), ModelUsage(4),
    )  # fmt: skip
    result = await AGENTS["automation_consultant"].work("acme", build_context([]), model, ignore)
    assert result.content == "// Tests\nexport {};\n"
    assert (result.title, result.tokens_used) == ("Tests", 7)


async def test_long_title_cut() -> None:
    """A first line of any length makes a title of bounded length."""
    result = await AGENTS["ba_consultant"].work("a", build_context([]), Scripted(ModelText("# " + "x" * 500)), ignore)
    assert len(result.title) == 120
    assert result.title.endswith("…")


@pytest.mark.parametrize("error", [ModelError("down"), BudgetExceededError("used up")])
async def test_failing_model_error_passes_through(error: Exception) -> None:
    """What fails in the model reaches the runner as it is, also after half an answer."""
    with pytest.raises(type(error)):
        await AGENTS["qa_consultant"].work("a", build_context([]), Scripted(ModelText("# half"), error), ignore)


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        ("# a\n```gherkin\nx\n```", "# a\n```gherkin\nx\n```"),
        ("```gherkin\nx\n```", "```gherkin\nx\n```"),
        ("````markdown\n# a\n```ts\nx\n```\n````", "# a\n```ts\nx\n```"),
        ("```md\n# a", "```md\n# a"),
    ],
)
def test_fence_taken_off_only_round_the_whole(answer: str, content: str) -> None:
    """A fence inside the answer, of another language, or never closed stays."""
    assert without_fence(answer, frozenset({"", "md", "markdown"})) == content
