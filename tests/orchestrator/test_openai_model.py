"""The model behind an OpenAI-compatible endpoint, against a real server that misbehaves in every way it can."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Secured, secure
from live import ANSWERS
from llm_server import (
    DONE,
    Behaviour,
    LLMServer,
    cutting,
    delta,
    dripping,
    event,
    falling_silent,
    llm_server,
    refusing,
    streaming,
    usage,
)
from offline_checks import document

from orchestrator.agents import AGENTS
from orchestrator.clock import SystemClock
from orchestrator.context import build_context
from orchestrator.errors import ModelError
from orchestrator.llm.openai_compatible import OpenAICompatibleModel
from orchestrator.ports import LanguageModel, ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage

KEY = "sk-0123456789abcdef"
STOP = delta(finish_reason="stop")


@pytest.fixture
async def llm() -> AsyncIterator[LLMServer]:
    """A server of the protocol."""
    async with llm_server() as running:
        yield running


@asynccontextmanager
async def opened(server: LLMServer, **options: Any) -> AsyncIterator[OpenAICompatibleModel]:
    """A model of that server, which is soon tired of waiting."""
    options = {"key": KEY, "timeout_s": 5.0, **options}
    async with aclosing(OpenAICompatibleModel(server.url, "llama", SystemClock(), **options)) as model:
        yield model


def request(text: str = "The system MUST answer.") -> ModelRequest:
    """A question of the business analyst."""
    instructions = "<!-- ba_consultant, prompt version 0 -->\nDo it."
    context = build_context([document("a.md", text)])
    return ModelRequest(tenant="acme", agent_type="ba_consultant", instructions=instructions, context=context)


async def answer(model: LanguageModel, asked: ModelRequest | None = None) -> list[ModelChunk]:
    """The whole answer."""
    return [chunk async for chunk in model.stream(asked or request())]


async def failure(model: LanguageModel) -> tuple[ModelError, list[ModelChunk]]:
    """How the answer failed, and what had come by then."""
    came: list[ModelChunk] = []
    with pytest.raises(ModelError) as failed:
        async for chunk in model.stream(request()):
            came.append(chunk)
    return failed.value, came


def text_of(chunks: list[ModelChunk]) -> str:
    """The text of an answer."""
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, ModelText))


def usages(chunks: list[ModelChunk]) -> list[int]:
    """What an answer cost."""
    return [chunk.tokens for chunk in chunks if isinstance(chunk, ModelUsage)]


async def test_answer_streamed_whole_with_progress_and_the_servers_usage(llm: LLMServer) -> None:
    """Text comes in parts and unchanged, progress from the first wait on, and at last what the server has counted."""
    async with opened(llm) as model:
        chunks = await answer(model)
    assert text_of(chunks) == ANSWERS["ba_consultant"]
    assert chunks[0] == ModelProgress(0, "Waiting for llama to answer")
    assert chunks[-1] == ModelUsage(333)
    assert usages(chunks) == [333]
    assert any(isinstance(chunk, ModelProgress) and chunk.label.startswith("Writing: ~") for chunk in chunks)


async def test_request_has_key_model_and_limits(llm: LLMServer) -> None:
    """The endpoint gets the key as a Bearer token, the model's name, and a streamed question with a limit."""
    async with opened(llm, max_output_tokens=900) as model:
        await answer(model)
        assert model.name == "llama"
    (asked,) = llm.asked
    assert asked.target == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert (asked.body["model"], asked.body["stream"], asked.body["max_tokens"]) == ("llama", True, 900)
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]


async def test_without_key_nothing_identifies_us(llm: LLMServer) -> None:
    """Local servers want no key, and get none."""
    async with opened(llm, key=None) as model:
        await answer(model)
    assert "authorization" not in llm.asked[0].headers


async def test_estimate_is_an_upper_bound_of_what_is_counted(llm: LLMServer) -> None:
    """What is sent and the longest answer: more than the request and the whole answer come to."""
    async with opened(llm, max_output_tokens=900) as model:
        assert model.estimate(request()) > 900 + 10
        assert model.estimate(request("x" * 4000)) == pytest.approx(model.estimate(request("")) + 1000, abs=1)


async def test_server_without_usage_estimated(llm: LLMServer) -> None:
    """Where a server does not count, both directions are estimated, and an answer is never free."""
    llm.next(streaming(delta("# " + "x" * 398), STOP, DONE))
    async with opened(llm, max_output_tokens=900) as model:
        asked = model.estimate(request()) - 900
        assert usages(await answer(model)) == [asked + 100]


async def test_last_chunk_without_line_end_is_part_of_the_answer(llm: LLMServer) -> None:
    """A server that ends its body with the last byte of JSON has answered."""
    llm.next(streaming(delta("# A"), delta("# B", finish_reason="stop").rstrip()))
    async with opened(llm) as model:
        assert text_of(await answer(model)) == "# A# B"


async def test_error_of_any_length_is_read_and_told_in_bounds(llm: LLMServer) -> None:
    """Of a body that is no end of words, the beginning is enough."""
    llm.next(refusing(500, "no " * 100_000, "text/plain"))
    async with opened(llm) as model:
        error, _ = await failure(model)
    assert "It says: “no no no" in str(error)
    assert len(str(error)) < 500


async def test_thoughts_are_progress_and_no_text(llm: LLMServer) -> None:
    """What a reasoning model thinks moves the percentage, and is not in the artifact."""
    llm.next(
        streaming(
            delta(reasoning_content="hm " * 200), delta(reasoning="so " * 200), delta("# A"), STOP, usage(), DONE
        )
    )
    async with opened(llm) as model:
        chunks = await answer(model)
    assert text_of(chunks) == "# A"
    told = [chunk for chunk in chunks if isinstance(chunk, ModelProgress)]
    assert [chunk.label for chunk in told[:3]] == [
        "Waiting for llama to answer", "Thinking: ~150 tokens", "Thinking: ~300 tokens",
    ]  # fmt: skip
    assert 0 < told[1].percent < told[2].percent <= told[3].percent


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (cutting(delta("# half")), "broke the connection"),
        (cutting(), "broke the connection"),
        (streaming(delta("# half")), "the stream ended before the answer did"),
        (streaming(delta("# half"), DONE), "the stream ended before the answer did"),
        (streaming(), "the stream ended before the answer did"),
        (streaming(delta("# half"), b'data: {"choices": [{"delta": {"cont'), "no JSON"),
        (streaming(delta("# half"), event({"error": {"message": f"lost {KEY}", "code": 503}})), "lost [key]"),
        (streaming(delta("# half", finish_reason="tool_calls"), DONE), "tool_calls"),
        (refusing(500, {"error": {"message": "out of memory"}}), "out of memory"),
        (refusing(502, "<html><title>Bad Gateway</title></html>", "text/html"), "Bad Gateway"),
    ],
)
async def test_answer_that_is_not_whole_is_an_error_worth_another_attempt(
    llm: LLMServer, behaviour: Behaviour, said: str
) -> None:
    """However an answer breaks off, it is an error, never a short answer; the next attempt may be whole."""
    llm.next(behaviour)
    async with opened(llm) as model:
        error, _ = await failure(model)
        assert said in str(error)
        assert not error.permanent
        assert KEY not in str(error)
        assert text_of(await answer(model)) == ANSWERS["ba_consultant"]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (refusing(401, {"error": {"message": KEY}}), "RUNCAST_LLM_API_KEY"),
        (refusing(404, {"error": {"message": "no such model"}}), "RUNCAST_LLM_MODEL"),
        (refusing(404, "Not Found", "text/plain"), "RUNCAST_LLM_BASE_URL"),
        (refusing(400, {"error": {"message": "maximum context length is 4096"}}), "RUNCAST_LLM_CONTEXT_TOKENS"),
        (refusing(200, "<html><title>Sign in</title></html>", "text/html"), "“Sign in”"),
        (refusing(200, {"choices": [{"message": {"content": "# x"}}]}), "stream of events was expected"),
        (refusing(200, {"error": {"message": "maximum context length"}}), "RUNCAST_LLM_CONTEXT_TOKENS"),
        (streaming(delta("# half"), delta(finish_reason="length"), usage(), DONE), "RUNCAST_LLM_MAX_OUTPUT_TOKENS"),
        (streaming(delta("# half"), delta(finish_reason="content_filter"), DONE), "content filter"),
    ],
)
async def test_answer_that_cannot_become_better_is_permanent(llm: LLMServer, behaviour: Behaviour, said: str) -> None:
    """What another attempt cannot change is not tried again, and says what has to be changed."""
    llm.next(behaviour)
    async with opened(llm) as model:
        error, _ = await failure(model)
    assert said in str(error)
    assert error.permanent
    assert KEY not in str(error)
    assert len(llm.asked) == 1


async def test_busy_endpoint_is_left_alone_as_long_as_it_asks(llm: LLMServer) -> None:
    """429 with Retry-After is passed on as the wait."""
    llm.next(refusing(429, {"error": {"message": "slow down"}}, Retry_After="3"))
    async with opened(llm) as model:
        error, _ = await failure(model)
    assert (error.retry_after_s, error.permanent) == (3.0, False)


async def test_answer_that_broke_off_has_its_cost_before_the_error(llm: LLMServer) -> None:
    """Half an answer has been paid for: as the server counts if it did, else estimated; no answer costs nothing."""
    length = delta(finish_reason="length")
    llm.next(streaming(delta("# half"), length, usage(), DONE), cutting(delta("# half")), refusing(500))
    async with opened(llm, max_output_tokens=900) as model:
        _, came = await failure(model)
        assert usages(came) == [333]
        _, came = await failure(model)
        assert usages(came) == [model.estimate(request()) - 900 + 2]
        _, came = await failure(model)
        assert usages(came) == []


async def test_request_that_was_cut_off_in_silence_is_an_error(llm: LLMServer) -> None:
    """An endpoint with a small context that reads the end of the documents only has not answered what was asked."""
    llm.always(streaming(delta("# whole"), STOP, usage(prompt_tokens=4096, completion_tokens=4), DONE))
    async with opened(llm) as model:
        with pytest.raises(
            ModelError, match=r"read only 4096 of about 3\d{4} tokens.*RUNCAST_LLM_CONTEXT_TOKENS"
        ) as cut:
            await answer(model, request("The system MUST answer. " * 5000))
        assert cut.value.permanent
        assert text_of(await answer(model, request("The system MUST answer. " * 2000))) == "# whole"


async def test_refused_field_is_replaced_and_not_sent_again(llm: LLMServer) -> None:
    """A server that wants the limit under its newer name gets it there, at once and from then on."""
    llm.next(refusing(400, {"error": {"message": "Unsupported 'max_tokens'. Use 'max_completion_tokens' instead."}}))
    async with opened(llm, max_output_tokens=900) as model:
        assert text_of(await answer(model)) == ANSWERS["ba_consultant"]
        await answer(model)
    assert [("max_tokens" in each.body, each.body.get("max_completion_tokens")) for each in llm.asked] == [
        (True, None), (False, 900), (False, 900),
    ]  # fmt: skip


async def test_redirect_not_followed_and_key_kept(llm: LLMServer) -> None:
    """Another host that a server points to gets neither documents nor key."""
    async with llm_server() as other, opened(llm) as model:
        llm.next(refusing(307, Location=f"{other.url}/chat/completions?token=abc"))
        error, _ = await failure(model)
        assert other.asked == []
    assert error.permanent
    assert "redirects to http://127.0.0.1" in str(error)
    assert "abc" not in str(error)


@pytest.mark.parametrize("before", [(), (delta("# half"),)], ids=["at the start", "half-way"])
async def test_silence_is_given_up(llm: LLMServer, before: tuple[bytes, ...]) -> None:
    """An endpoint that says nothing for longer than it may is left, and sees the connection closed."""
    llm.next(falling_silent(*before))
    async with opened(llm, timeout_s=0.3) as model:
        error, _ = await failure(model)
        await asyncio.wait_for((await llm.request()).gone.wait(), 5)
    assert "silent for 0.3 s" in str(error)
    assert not error.permanent


async def test_answer_without_end_is_given_up(llm: LLMServer) -> None:
    """An endpoint that goes on saying nothing of use is left when an answer has had its time."""
    llm.next(dripping(b": still here\n\n"))
    async with opened(llm, whole_s=0.5) as model:
        error, _ = await failure(model)
        await asyncio.wait_for((await llm.request()).gone.wait(), 5)
    assert "within 0.5 s" in str(error)


async def test_head_that_does_not_come_in_time_is_given_up(llm: LLMServer) -> None:
    """The time of an answer counts from the request."""
    llm.next(falling_silent())
    async with opened(llm, whole_s=0.3) as model:
        error, _ = await failure(model)
    assert "within 0.3 s" in str(error)


async def test_cancelled_question_closes_the_connection_at_once(llm: LLMServer) -> None:
    """A step that is cancelled lets the endpoint see a closed connection, so that it stops working for nobody."""
    llm.next(falling_silent(delta("# half")))
    async with opened(llm, timeout_s=60) as model:
        asking = asyncio.create_task(answer(model))
        asked = await llm.request()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(asked.gone.wait(), 5)


async def test_closed_stream_closes_the_connection_at_once(llm: LLMServer) -> None:
    """A reader that leaves half-way leaves no connection behind."""
    llm.next(falling_silent(delta("# half")))
    async with opened(llm, timeout_s=60) as model:
        async with aclosing(model.stream(request())) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, ModelText):
                    break
        await asyncio.wait_for((await llm.request()).gone.wait(), 5)


async def test_endpoint_that_is_not_there_can_come_back(llm: LLMServer) -> None:
    """Nobody listens: worth another attempt, which succeeds as soon as somebody does."""
    async with opened(llm) as model:
        await llm.stop()
        error, came = await failure(model)
        assert "cannot be reached" in str(error)
        assert not error.permanent
        assert usages(came) == []
        await llm.start()
        assert text_of(await answer(model)) == ANSWERS["ba_consultant"]


async def test_many_questions_at_once_each_get_their_answer(llm: LLMServer) -> None:
    """Answers that come side by side do not mix."""
    agents = list(ANSWERS) * 4
    async with opened(llm) as model:
        results = await asyncio.gather(
            *(
                AGENTS[agent_type].work("acme", request().context, model, lambda percent, label: None)
                for agent_type in agents
            )
        )
    assert [result.content for result in results] == [ANSWERS[agent_type] for agent_type in agents]


async def test_proxy_of_the_environment_is_not_asked_for_this_machine(
    llm: LLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy gets nothing that stays on this machine."""
    async with llm_server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with opened(llm) as model:
            await answer(model)
        assert proxy.asked == []
    assert len(llm.asked) == 1


async def test_proxy_of_the_environment_is_asked_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves this machine goes by the proxy that the environment names."""
    async with llm_server() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        model = OpenAICompatibleModel("http://llm.example.org", "llama", SystemClock(), timeout_s=5)
        async with aclosing(model):
            assert text_of(await answer(model)) == ANSWERS["ba_consultant"]
        assert proxy.asked[0].target == "http://llm.example.org/v1/chat/completions"


def tls_of(files: Secured) -> ssl.SSLContext:
    """What a server with that certificate speaks."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.tls_cert, files.tls_key)
    return context


async def test_certificate_of_unknown_authority_refused(tmp_path: Path) -> None:
    """Over https nothing is sent to somebody who cannot prove who they are."""
    async with llm_server(tls_of(secure(tmp_path))) as llm, opened(llm) as model:
        error, _ = await failure(model)
        assert llm.asked == []
    assert error.permanent
    assert "SSL_CERT_FILE" in str(error)


async def test_certificate_of_private_authority_trusted_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority of one's own is believed when SSL_CERT_FILE names it."""
    files = secure(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    async with llm_server(tls_of(files)) as llm, opened(llm) as model:
        assert text_of(await answer(model)) == ANSWERS["ba_consultant"]
