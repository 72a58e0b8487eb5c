"""The agents: what they ask a model, and what they hand in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from offline_checks import AGENT_TYPES, RecordingClock, document, fixtures, syntax_errors

from orchestrator.agents import AGENTS
from orchestrator.agents.base import prompt_version_of, without_fence, without_thoughts
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

    def estimate(self, request: ModelRequest) -> int:
        return 7

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


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
def test_prompt_version_is_that_of_its_first_line(agent_type: str) -> None:
    """The version that tells answers apart is the one that stands in the file."""
    agent = AGENTS[agent_type]
    assert agent.instructions.startswith(f"<!-- {agent_type}, prompt version {agent.prompt_version} -->\n")


def test_prompt_without_its_version_refused() -> None:
    """A prompt that does not say which one it is cannot be told from the one before."""
    with pytest.raises(ValueError, match="The prompt of qa_consultant begins with '<!-- ba_consultant"):
        prompt_version_of(AGENTS["ba_consultant"].instructions, "qa_consultant")


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_what_was_not_read_named_at_the_end_of_the_artifact(agent_type: str) -> None:
    """A model that does not mention what did not fit is put right, in the language of the artifact."""
    title = "// Tests" if agent_type == "automation_consultant" else "# Tests"
    context = build_context([document("a.md", "x"), document("b.md", "x" * 900)], token_limit=10)
    result = await AGENTS[agent_type].work("acme", context, Scripted(ModelText(f"{title}\n")), ignore)
    mark = "// " if agent_type == "automation_consultant" else ""
    assert result.content.startswith(f"{title}\n\n{mark or '## '}Not read: it did not fit")
    assert result.content.endswith(f"\n{mark}- b.md\n")
    assert result.title == "Tests"
    if agent_type == "automation_consultant":
        assert syntax_errors(result.content) == []


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_no_document_fits_permanent_error_and_model_not_asked(agent_type: str) -> None:
    """Where nothing at all can be read, no tokens are spent on that, and what to change is said."""
    context = build_context([document("b.md", "x" * 900)], token_limit=10)
    model = Scripted()
    with pytest.raises(ModelError, match="RUNCAST_LLM_CONTEXT_TOKENS") as failed:
        await AGENTS[agent_type].work("acme", context, model, ignore)
    assert failed.value.permanent
    assert model.asked == []


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        ("<think>\nHm.\n</think>\n\n# a", "\n\n# a"),
        (" \n<think></think># a", "# a"),
        ("# a\n<think>x</think>", "# a\n<think>x</think>"),
        ("<think> for ever", "<think> for ever"),
    ],
)
def test_thoughts_before_the_answer_taken_off(answer: str, rest: str) -> None:
    """Thoughts that a server leaves in the text are none of it; what looks like them elsewhere stays."""
    assert without_thoughts(answer) == rest


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
