"""The agents that do a run's work, and the language models they ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import msgspec

from orchestrator.records import Artifact, Document


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent works on. ``omitted`` names what did not fit: documents by path, artifacts by title and agent."""

    documents: tuple[Document, ...]
    earlier: tuple[Artifact, ...] = ()
    omitted: tuple[str, ...] = ()


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a language model: the instructions and, structured, what they are about."""

    tenant: str
    agent_type: str
    instructions: str
    context: Context


class ModelProgress(msgspec.Struct, frozen=True):
    """How far the answer is: an integer percentage and what is being done."""

    percent: int
    label: str


class ModelText(msgspec.Struct, frozen=True):
    """The next part of the answer."""

    text: str


class ModelUsage(msgspec.Struct, frozen=True):
    """What the answer cost, in tokens; once, before the end."""

    tokens: int


ModelChunk = ModelProgress | ModelText | ModelUsage


class LanguageModel(Protocol):
    """Something that answers a request, bit by bit."""

    @property
    def name(self) -> str:
        """What people call the model; part of what makes two answers comparable."""
        ...

    def estimate(self, request: ModelRequest) -> int:
        """About how many tokens the request and its answer may take together; rather too many than too few."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """The answer as it comes. An answer that ends without raising is whole. Closing it ends the model's work.

        Raises:
            ModelError: the model failed; another attempt may help.
            BudgetExceededError: the tenant may not spend more; another attempt does not help.

        """
        ...


class AgentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent hands in."""

    title: str
    artifact_type: str
    content_type: str
    content: str
    tokens_used: int
    cached: bool = False
    """It had been handed in before, for an equal question."""


Report = Callable[[int, str], None]
"""Tell how far the work is: percent and label. Cheap, never waits; calls may be joined."""


class Agent(Protocol):
    """One kind of work on a project's documents."""

    agent_type: str

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        """Do the work. Blocking parts run in threads, so that the event loop goes on.

        Raises:
            ModelError: it failed; the step may be tried again.
            BudgetExceededError: it may not spend more; the step fails for good.

        """
        ...
