"""The offline model as a language model: order, progress, pace, usage, cancellation."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from offline_checks import AGENT_TYPES, RecordingClock, chunks, document, fixtures, request

from orchestrator.context import estimated_tokens
from orchestrator.errors import ModelError
from orchestrator.llm.offline import OfflineModel
from orchestrator.ports import LanguageModel, ModelProgress, ModelText, ModelUsage

DOCUMENTS = ("checkout-story.md", "memo.txt", "orders-api.md")


@pytest.mark.parametrize("agent_type", AGENT_TYPES)
async def test_progress_names_every_document_never_falls_and_stays_below_100(agent_type: str) -> None:
    """Progress is made of the work: each document is read in order, then sections are written."""
    found = await chunks(request(agent_type, fixtures(*DOCUMENTS)))
    progress = [chunk for chunk in found if isinstance(chunk, ModelProgress)]
    percents = [each.percent for each in progress]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert 60 < percents[-1] < 100
    assert all(isinstance(percent, int) for percent in percents)
    reading = [each.label for each in progress if each.label.startswith("Reading")]
    assert reading == [f"Reading docs/{name} ({number} of 3)" for number, name in enumerate(DOCUMENTS, start=1)]
    assert any(each.label.startswith("Read docs/memo.txt: 6 findings") for each in progress)
    assert any(each.label.startswith("Writing") for each in progress)


async def test_usage_once_at_the_end_estimated_from_read_and_written() -> None:
    """The last chunk is the only usage: four bytes a token, over instructions, documents and answer."""
    documents = fixtures(*DOCUMENTS)
    found = await chunks(request("ba_consultant", documents))
    (usage,) = [chunk for chunk in found if isinstance(chunk, ModelUsage)]
    assert found[-1] is usage
    texts = ["Do it.", *(each.text for each in documents)]
    texts += [chunk.text for chunk in found if isinstance(chunk, ModelText)]
    assert usage.tokens == sum(map(estimated_tokens, texts))


async def test_pace_spreads_work_evenly_over_the_seconds_asked_for() -> None:
    """With a pace the waits add up to it, none is much longer than its kind, and the text is the same."""
    clock = RecordingClock()
    asked = request("qa_consultant", fixtures(*DOCUMENTS))
    paced = await chunks(asked, 5.0, clock)
    assert sum(clock.slept) == pytest.approx(5.0)
    assert len(clock.slept) > 6
    assert max(clock.slept) <= 1.0
    assert paced == await chunks(asked)


async def test_without_pace_clock_never_asked_to_wait() -> None:
    """With no pace the model takes as long as it takes."""
    clock = RecordingClock()
    await chunks(request("ba_consultant", fixtures(*DOCUMENTS)), 0.0, clock)
    assert clock.slept == []


async def test_event_loop_gets_turns_while_documents_are_read() -> None:
    """Other tasks run between any two documents, so that nobody waits for the parser."""
    documents = [document(f"{number}.md", "The door must open.\n" * 50) for number in range(20)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await chunks(request("ba_consultant", documents))
    counting.cancel()
    assert turns > 20


async def test_cancelled_between_chunks_ends_at_once_and_model_goes_on_working() -> None:
    """A cancelled request leaves no task behind, and the same model answers the next one as ever."""
    waiting = asyncio.Event()

    class Stuck(RecordingClock):
        async def sleep(self, seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

    asked = request("ba_consultant", fixtures("memo.txt"))
    task = asyncio.create_task(chunks(asked, 1.0, Stuck()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await chunks(asked)


async def test_closed_early_generator_leaves_nothing() -> None:
    """A reader that stops after the first chunk can close the stream."""
    stream = OfflineModel(RecordingClock()).stream(request("ba_consultant", fixtures("memo.txt")))
    assert inspect.isasyncgen(stream)
    await anext(stream)
    await stream.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unknown_agent_model_error_names_the_known() -> None:
    """There are rules for three agents; another one is refused by name."""
    with pytest.raises(ModelError, match=r"'cook'.*ba_consultant"):
        await chunks(request("cook", fixtures("memo.txt")))


async def test_no_documents_at_all_still_an_answer() -> None:
    """With everything omitted the answer says what was not read."""
    found = await chunks(request("ba_consultant", [], omitted=("a.md",)), 1.0, clock := RecordingClock())
    assert "not read" in "".join(chunk.text for chunk in found if isinstance(chunk, ModelText))
    assert sum(clock.slept) == pytest.approx(1.0)


def test_model_is_a_language_model() -> None:
    """The class keeps the port, and its name is part of what makes answers comparable."""
    model: LanguageModel = OfflineModel(RecordingClock())
    assert model.name == "offline"
