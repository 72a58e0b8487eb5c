"""What agents have handed in, kept for the next time that they are asked the same."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

import msgspec
import structlog

from orchestrator.errors import StoreError
from orchestrator.ports import Agent, AgentResult, Context, LanguageModel, Report

_log = structlog.get_logger(__name__)


class CacheLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a tenant's answers: the newest ``count``, in all ``size`` bytes, and none over ``days`` old.

    0 days: nothing is kept.
    """

    days: float = 7.0
    size: int = 100_000_000
    count: int = 10_000


class AnswerStore(Protocol):
    """Answers of all tenants by their keys. Ages are by the store's clock."""

    async def find(self, tenant: str, key: str, limits: CacheLimits) -> AgentResult | None:
        """The answer that was kept under that key, without its tokens; None: there is none, or it is too old."""
        ...

    async def keep(self, tenant: str, key: str, answer: AgentResult, limits: CacheLimits) -> None:
        """Keep an answer, in place of an older one of that key, and drop the tenant's oldest beyond ``limits``.

        One that is larger than all that may be kept is not.
        """
        ...


class PromptedAgent(Agent, Protocol):
    """An agent that does what its ``instructions`` say: others, or of another version, are another question."""

    instructions: str
    prompt_version: int


class CachedAgent:
    """An agent that answers from ``answers`` what it was asked before, and keeps there what it hands in.

    Only what the agent behind it accepted is ever kept, so no bad answer of a model is. Two that are asked the same
    at once may both do the work. A cache that fails is told in the log, and does without. ``endpoint`` is where the
    model is asked: one of the same name elsewhere may be another.
    """

    def __init__(self, agent: PromptedAgent, answers: AnswerStore, limits: CacheLimits, endpoint: str = "") -> None:
        self.agent_type = agent.agent_type
        self._agent = agent
        self._answers = answers
        self._limits = limits
        self._endpoint = endpoint

    async def work(self, tenant: str, context: Context, model: LanguageModel, report: Report) -> AgentResult:
        """What was handed in before, then ``cached`` and for no tokens; else what the agent does, and raises."""
        key = answer_key(tenant, self._agent, f"{self._endpoint} {model.name}", context)
        found = await self._find(tenant, key)
        if found is not None:
            return msgspec.structs.replace(found, cached=True)
        answer = await self._agent.work(tenant, context, model, report)
        await self._keep(tenant, key, answer)
        return answer

    async def _find(self, tenant: str, key: str) -> AgentResult | None:
        try:
            return await self._answers.find(tenant, key, self._limits)
        except StoreError as error:
            _log.warning("the cache cannot be read", agent_type=self.agent_type, reason=str(error))
            return None

    async def _keep(self, tenant: str, key: str, answer: AgentResult) -> None:
        try:
            await self._answers.keep(tenant, key, answer, self._limits)
        except StoreError as error:
            _log.warning("an answer cannot be cached", agent_type=self.agent_type, reason=str(error))


def answer_key(tenant: str, agent: PromptedAgent, model_name: str, context: Context) -> str:
    """A hash of everything that the answer comes from, in hexadecimal; equal only for what is equal in all of it."""
    asked = (
        tenant,
        agent.agent_type,
        agent.prompt_version,
        agent.instructions,
        model_name,
        [(document.path, document.text) for document in context.documents],
        [(artifact.agent_type, artifact.title, artifact.content) for artifact in context.earlier],
        context.omitted,
    )
    return sha256(msgspec.json.encode(asked)).hexdigest()
