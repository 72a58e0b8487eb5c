"""What the consultants have in common: instructions and context go to the model, its answer becomes the artifact."""

from __future__ import annotations

import re
from importlib.resources import files

from orchestrator.errors import ModelError
from orchestrator.ports import (
    AgentResult,
    Context,
    LanguageModel,
    ModelProgress,
    ModelRequest,
    ModelText,
    ModelUsage,
    Report,
)

TITLE_LIMIT = 120
_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\w*)$")


class Consultant:
    """An agent that asks a model once and hands in the answer. Subclasses say what they ask for and what is usable.

    The instructions are the text of ``prompts/{agent_type}.md``; its first line carries the version of the prompt.
    The artifact's title is the first line of the answer, which the instructions ask to be a title.
    """

    agent_type: str
    artifact_type: str
    content_type: str
    fence_languages: frozenset[str]
    """Languages of a code fence round the whole answer that is taken off, as models like to put one there."""

    def __init__(self) -> None:
        prompt = files("orchestrator.agents") / "prompts" / f"{self.agent_type}.md"
        self.instructions = prompt.read_text(encoding="utf-8")

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        """The artifact. Progress of the model goes to ``report`` as it comes; the answer is used only when whole.

        Raises:
            ModelError: the model failed, or its answer is empty or not of the kind asked for.
            BudgetExceededError: the tenant may not spend more.

        """
        request = ModelRequest(
            tenant=tenant, agent_type=self.agent_type, instructions=self.instructions, context=context
        )
        parts: list[str] = []
        tokens = 0
        async for chunk in model.stream(request):
            match chunk:
                case ModelProgress(percent=percent, label=label):
                    report(percent, label)
                case ModelText(text=text):
                    parts.append(text)
                case ModelUsage(tokens=used):
                    tokens += used
        content = self._content("".join(parts), model.name)
        return AgentResult(
            title=_title(content),
            artifact_type=self.artifact_type,
            content_type=self.content_type,
            content=content,
            tokens_used=tokens,
        )

    def missing(self, content: str) -> str | None:
        """What this answer would need to be usable, in words; None where nothing is missing."""
        raise NotImplementedError

    def _content(self, answer: str, model_name: str) -> str:
        content = without_fence(answer.strip(), self.fence_languages)
        if not content:
            raise ModelError(f"Model {model_name!r} gave {self.agent_type} an empty answer; expected an artifact.")
        missing = self.missing(content)
        if missing:
            raise ModelError(f"The answer of model {model_name!r} to {self.agent_type} has no {missing}.")
        return content + "\n"


def without_fence(answer: str, languages: frozenset[str]) -> str:
    """The answer without a code fence round the whole of it, if its language is one of these or not given."""
    lines = answer.split("\n")
    opening = _FENCE.match(lines[0].rstrip())
    if opening is None or len(lines) < 2 or lines[-1].strip() != opening.group(1):
        return answer
    if opening.group(2).lower() not in languages:
        return answer
    return "\n".join(lines[1:-1]).strip()


def _title(content: str) -> str:
    first = content.split("\n", 1)[0].lstrip("#/* ").strip()
    return first if len(first) <= TITLE_LIMIT else first[: TITLE_LIMIT - 1] + "…"
