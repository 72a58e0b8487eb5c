"""Answers that are given again to an equal question: real agents over the real store, and a model that counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, MutableMapping, Sequence
from typing import Any

import msgspec
import pytest
from run_stage import BA, QA, Line, RunStage, Through, finished

from orchestrator.agents import AGENTS
from orchestrator.agents.ba_consultant import BaConsultant
from orchestrator.cache import CachedAgent, CacheLimits, answer_key
from orchestrator.errors import ModelError, StoreError
from orchestrator.ports import Agent, AgentResult, Context, ModelChunk, ModelRequest, ModelText, ModelUsage
from orchestrator.records import Artifact, Document, RunRecord

MATRIX = "# Coverage\n\n| id | requirement |\n|---|---|\n| R1 | The system MUST answer. |\n"
CHECKLIST = "# Checklist\n\n- [ ] It answers.\n\n```gherkin\nFeature: A\n  Scenario: A\n    Then it answers\n```\n"


class CountingModel:
    """Answers each agent with a text that it accepts, for 40 tokens; counts how often it was asked."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.answers = {BA: MATRIX, QA: CHECKLIST}
        self.asked: list[str] = []

    def estimate(self, request: ModelRequest) -> int:
        return 100

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        self.asked.append(request.agent_type)
        yield ModelText(self.answers[request.agent_type])
        yield ModelUsage(40)


def document(path: str = "a.md", text: str = "The system MUST answer.") -> Document:
    """A document."""
    return Document(id="d", project_id="p", path=path, version=1, size=len(text), created_at="", text=text)


def artifact(content: str = MATRIX) -> Artifact:
    """What an agent before left."""
    return Artifact(
        id="1",
        run_id="r",
        step_id="s",
        agent_type=BA,
        title="Coverage",
        artifact_type="coverage_matrix",
        content_type="text/markdown",
        content=content,
    )


ASKED = Context(documents=(document(), document("b.md", "text")), earlier=(artifact(),), omitted=("c.md",))


class Desk:
    """The BA consultant with a cache before it, in the stage's store."""

    def __init__(self, stage: RunStage) -> None:
        self.stage = stage
        self.model = CountingModel()

    async def ask(
        self,
        *,
        tenant: str | None = None,
        answers: Any = None,
        agent: BaConsultant | None = None,
        endpoint: str = "",
        **changes: Any,
    ) -> AgentResult:
        """What the agent hands in for `ASKED`, with these changes."""
        cached = CachedAgent(agent or BaConsultant(), answers or self.stage.store.answers, CacheLimits(), endpoint)
        context = msgspec.structs.replace(ASKED, **changes)
        return await cached.work(tenant or self.stage.tenant, context, self.model, lambda *_: None)


@pytest.fixture
def desk(stage: RunStage) -> Desk:
    """An agent with a cache."""
    return Desk(stage)


async def test_equal_question_is_answered_again_for_no_tokens(desk: Desk) -> None:
    """The second time the model is not asked: the same artifact comes back, and says where it is from."""
    first = await desk.ask()
    assert (first.tokens_used, first.cached) == (40, False)
    again = await desk.ask()
    assert again == msgspec.structs.replace(first, tokens_used=0, cached=True)
    assert desk.model.asked == [BA]


async def test_question_of_another_model_is_another(desk: Desk) -> None:
    """What one model answered is not given for another."""
    await desk.ask()
    desk.model.name = "larger"
    assert not (await desk.ask()).cached


async def test_question_to_another_endpoint_is_another(desk: Desk) -> None:
    """A model of the same name may be another one elsewhere."""
    await desk.ask(endpoint="http://127.0.0.1:11434/v1")
    assert not (await desk.ask(endpoint="http://127.0.0.1:8000/v1")).cached
    assert (await desk.ask(endpoint="http://127.0.0.1:11434/v1")).cached


def answer_keys() -> dict[str, str]:
    """The keys of questions that differ from the first in one thing each, by that thing."""
    agent, other_text, other_version = BaConsultant(), BaConsultant(), BaConsultant()
    other_text.instructions += " "
    other_version.prompt_version += 1

    def key(tenant: str = "demo", agent: Any = agent, model: str = "m", **changes: Any) -> str:
        return answer_key(tenant, agent, model, msgspec.structs.replace(ASKED, **changes))

    return {
        "first": key(),
        "tenant": key(tenant="acme"),
        "agent": key(agent=AGENTS[QA]),
        "instructions": key(agent=other_text),
        "prompt version": key(agent=other_version),
        "model": key(model="n"),
        "document": key(documents=(document(text="The system MUST wait."), document("b.md", "text"))),
        "path": key(documents=(document("z.md"), document("b.md", "text"))),
        "order": key(documents=ASKED.documents[::-1]),
        "cut between documents": key(documents=(document(text="The system MUST answer.text"), document("b.md", ""))),
        "earlier artifact": key(earlier=(artifact("# Other\n"),)),
        "no earlier artifact": key(earlier=()),
        "omitted": key(omitted=()),
    }


def test_question_that_differs_in_anything_has_another_key() -> None:
    """All that an answer comes from is in the key."""
    keys = answer_keys()
    assert len(set(keys.values())) == len(keys)


def test_question_is_known_by_its_texts_alone() -> None:
    """Ids, versions and times of documents and artifacts make no difference: another project may ask the same."""
    other = Context(
        documents=tuple(msgspec.structs.replace(each, id="x", version=9, created_at="z") for each in ASKED.documents),
        earlier=tuple(msgspec.structs.replace(each, id="y", run_id="q") for each in ASKED.earlier),
        omitted=ASKED.omitted,
    )
    assert answer_key("demo", BaConsultant(), "m", other) == answer_keys()["first"]


async def test_answer_that_the_agent_refuses_is_not_kept(desk: Desk) -> None:
    """A model that talks nonsense once is asked again, and what it then says is kept."""
    desk.model.answers[BA] = "I cannot help with that."
    with pytest.raises(ModelError):
        await desk.ask()
    desk.model.answers[BA] = MATRIX
    assert not (await desk.ask()).cached
    assert (await desk.ask()).cached
    assert desk.model.asked == [BA, BA]


class AwayAnswers(Through):
    """Answers of a store that is away."""

    async def find(self, *asked: Any) -> AgentResult | None:
        raise StoreError("the database is away")

    async def keep(self, *asked: Any) -> None:
        raise StoreError("the database is away")


async def test_cache_that_fails_costs_no_answer(desk: Desk, logged: list[MutableMapping[str, Any]]) -> None:
    """Without its cache an agent does its work, and the log says why."""
    answer = await desk.ask(answers=AwayAnswers(desk.stage.store.answers))
    assert (answer.tokens_used, answer.cached) == (40, False)
    assert [line["event"] for line in logged if "reason" in line] == [
        "the cache cannot be read",
        "an answer cannot be cached",
    ]


async def run_to_end(
    stage: RunStage, model: CountingModel, *, use_cache: bool = True
) -> tuple[RunRecord, list[Line]]:
    """A run of two agents on the stage's documents, ended; and its ``complete`` events, one for each step."""
    caching: dict[str, Agent] = {
        name: CachedAgent(agent, stage.store.answers, CacheLimits()) for name, agent in AGENTS.items()
    }
    runner = stage.runner(agents=AGENTS, caching_agents=caching, model_for=lambda _: model)
    accepted = await stage.accept(BA, QA, use_cache=use_cache)
    await finished(stage.work(accepted, runner))
    run = await stage.check(accepted)
    assert run.status == "completed", run.error_message
    return run, [line for line in await stage.log(run) if line.type == "complete"][:-1]


def from_cache(lines: Sequence[Line]) -> list[tuple[bool, int]]:
    """Of each step, whether it is from the cache, and its tokens."""
    return [(line.payload["cached"], line.payload["tokens_used"]) for line in lines]


async def test_run_over_the_same_documents_costs_nothing(stage: RunStage) -> None:
    """Every step says that it is from the cache and took no tokens, and leaves an artifact of its own."""
    model = CountingModel()
    first, steps = await run_to_end(stage, model)
    assert (first.total_tokens, from_cache(steps)) == (80, [(False, 40), (False, 40)])
    stage.publisher.events.clear()
    again, steps = await run_to_end(stage, model)
    assert (again.total_tokens, from_cache(steps)) == (0, [(True, 0), (True, 0)])
    assert [step.cached for step in again.steps] == [True, True]
    assert model.asked == [BA, QA]
    artifacts = [
        await stage.store.runs.list_artifacts(stage.tenant, stage.project_id, run.id) for run in (first, again)
    ]
    assert [len(left) for left in artifacts] == [2, 2]
    assert not {one.id for one in artifacts[0]} & {one.id for one in artifacts[1]}


async def test_run_over_changed_documents_asks_again(stage: RunStage) -> None:
    """A new version of a document is another question."""
    model = CountingModel()
    await run_to_end(stage, model)
    stage.publisher.events.clear()
    await stage.add_document("a.md", "- AC-1: It answers at once.")
    _, steps = await run_to_end(stage, model)
    assert from_cache(steps) == [(False, 40), (False, 40)]


async def test_run_that_may_not_use_the_cache_asks_again(stage: RunStage) -> None:
    """Whoever wants new answers gets them, and leaves the cache as it is."""
    model = CountingModel()
    await run_to_end(stage, model)
    stage.publisher.events.clear()
    model.answers[BA] = MATRIX.replace("R1", "R2")
    _, steps = await run_to_end(stage, model, use_cache=False)
    assert from_cache(steps) == [(False, 40), (False, 40)]
    stage.publisher.events.clear()
    _, steps = await run_to_end(stage, model)
    assert from_cache(steps) == [(True, 0), (True, 0)]
