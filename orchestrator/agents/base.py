"""What the consultants have in common: instructions and context go to the model, its answer becomes the artifact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
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
_VERSION = re.compile(r"<!-- (\w+), prompt version ([0-9]+) -->\n")
_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\w*)$")
_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)


class Consultant:
    """An agent that asks a model once and hands in the answer. Subclasses say what they ask for and what is usable.

    The instructions are the text of ``prompts/{agent_type}.md``, whose first line carries ``prompt_version``: answers
    to two versions are not comparable. The artifact's title is the first line of the answer, which the instructions
    ask to be a title. The artifact ends with the names of what did not fit into the context, whatever the model says.
    """

    agent_type: str
    artifact_type: str
    content_type: str
    fence_languages: frozenset[str]
    """Languages of a code fence round the whole answer that is taken off, as models like to put one there."""
    not_read_title: str
    not_read_bullet: str
    """How a list of what was not read is written in the language of the artifact."""

    def __init__(self) -> None:
        prompt = files("orchestrator.agents") / "prompts" / f"{self.agent_type}.md"
        self.instructions = prompt.read_text(encoding="utf-8")
        self.prompt_version = prompt_version_of(self.instructions, self.agent_type)

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        """The artifact. Progress of the model goes to ``report`` as it comes; the answer is used only when whole.

        Raises:
            ModelError: the model failed, or its answer is empty or not of the kind asked for; or no document fits.
            BudgetExceededError: the tenant may not spend more.

        """
        if context.omitted and not context.documents:
            raise ModelError(
                f"No document fits into what {self.agent_type} may read at once: raise RUNCAST_LLM_CONTEXT_TOKENS, "
                "or split the documents.",
                permanent=True,
            )
        request = ModelRequest(
            tenant=tenant, agent_type=self.agent_type, instructions=self.instructions, context=context
        )
        parts: list[str] = []
        tokens = 0
        async with aclosing(model.stream(request)) as chunks:
            async for chunk in chunks:
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
            content=content + self._not_read(context.omitted),
            tokens_used=tokens,
        )

    def missing(self, content: str) -> str | None:
        """What this answer would need to be usable, in words; None where nothing is missing."""
        raise NotImplementedError

    def _content(self, answer: str, model_name: str) -> str:
        content = without_fence(without_thoughts(answer).strip(), self.fence_languages)
        if not content:
            raise ModelError(f"Model {model_name!r} gave {self.agent_type} an empty answer; expected an artifact.")
        missing = self.missing(content)
        if missing:
            raise ModelError(f"The answer of model {model_name!r} to {self.agent_type} has no {missing}.")
        return content + "\n"

    def _not_read(self, names: Sequence[str]) -> str:
        if not names:
            return ""
        return "\n".join([f"\n{self.not_read_title}", *(f"{self.not_read_bullet}{name}" for name in names), ""])


def without_thoughts(answer: str) -> str:
    """The answer without the thoughts in ``<think>`` before it, which some servers leave there."""
    thoughts = _THOUGHTS.match(answer)
    return answer[thoughts.end() :] if thoughts else answer


def without_fence(answer: str, languages: frozenset[str]) -> str:
    """The answer without a code fence round the whole of it, if its language is one of these or not given."""
    lines = answer.split("\n")
    opening = _FENCE.match(lines[0].rstrip())
    if opening is None or len(lines) < 2 or lines[-1].strip() != opening.group(1):
        return answer
    if opening.group(2).lower() not in languages:
        return answer
    return "\n".join(lines[1:-1]).strip()


def prompt_version_of(instructions: str, agent_type: str) -> int:
    """The version in the first line of a prompt; ValueError where that is not the prompt of this agent."""
    first = _VERSION.match(instructions)
    if first is None or first[1] != agent_type:
        raise ValueError(f"The prompt of {agent_type} begins with {instructions[:60]!r}; expected its prompt version")
    return int(first[2])


def _title(content: str) -> str:
    first = content.split("\n", 1)[0].lstrip("#/* ").strip()
    return first if len(first) <= TITLE_LIMIT else first[: TITLE_LIMIT - 1] + "…"
