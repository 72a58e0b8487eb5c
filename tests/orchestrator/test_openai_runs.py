"""Whole runs with a language model behind an endpoint: a real server on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from live import ALL_AGENTS, ANSWERS, LiveServer, live_server
from llm_server import LLMServer, delta, falling_silent, llm_server, refusing

KEY = "sk-0123456789abcdef"


@pytest.fixture
async def llm() -> AsyncIterator[LLMServer]:
    """A server of the protocol."""
    async with llm_server() as running:
        yield running


def settings_for(llm: LLMServer, **settings: Any) -> dict[str, Any]:
    """What a server is told that asks this model, and asks it again soon."""
    named = {"llm_base_url": llm.url, "llm_model": "llama", "llm_api_key": KEY}
    return {**named, "retry_delays_s": (0.05,) * 100, **settings}


async def waiting(server: LiveServer, run_id: str, why: str = "") -> dict[str, Any]:
    """The payload of the first event that says that a step waits for a retry, with ``why`` in its reason."""
    async with asyncio.timeout(20), server.events(run_id) as events:
        async for event in events:
            payload: dict[str, Any] = json.loads(event.data)["payload"]
            if "retry_at" in payload and why in payload["reason"]:
                return payload
    raise AssertionError(f"the run ended without waiting because of {why!r}")


async def finished(server: LiveServer, run_id: str) -> dict[str, Any]:
    """The run when it has ended."""
    async with asyncio.timeout(20):
        await server.watched(run_id)
    return await server.snapshot(run_id)


async def artifacts(server: LiveServer) -> dict[str, str]:
    """What agents have left, by agent."""
    listed = (await server.http.get(f"{server.project}/artifacts")).json()["artifacts"]
    whole = [(await server.http.get(f"{server.project}/artifacts/{each['id']}")).json() for each in listed]
    return {each["agent_type"]: each["content"] for each in whole}


async def test_run_of_all_agents_completes_with_the_tokens_that_the_server_counts(
    llm: LLMServer, tmp_path: Path
) -> None:
    """Three agents ask one after the other, each reads what those before it left, and the usage adds up."""
    async with live_server(tmp_path / "home", **settings_for(llm)) as server:
        run_id = await server.start_run()
        run = await finished(server, run_id)
        assert (run["status"], run["total_tokens"]) == ("completed", 999)
        assert await artifacts(server) == ANSWERS
        labels = [event["payload"].get("progress_label", "") for event in await server.log(run_id)]
    assert [exchange.agent_type for exchange in llm.asked] == ALL_AGENTS
    assert all("AC-1: The system MUST answer" in exchange.body["messages"][1]["content"] for exchange in llm.asked)
    assert "| R1 | The system MUST answer. |" in llm.asked[2].body["messages"][1]["content"]
    assert "Waiting for llama to answer" in labels


async def test_endpoint_that_is_gone_for_a_while_step_waits_and_run_completes(llm: LLMServer, tmp_path: Path) -> None:
    """A model that goes away in the middle of an answer is asked again until it is back; viewers are told why."""
    llm.next(falling_silent(delta("# half an answer")))
    async with live_server(tmp_path / "home", **settings_for(llm)) as server:
        run_id = await server.start_run()
        await llm.request()
        await llm.stop()
        assert (await waiting(server, run_id))["reason"].startswith(f"Model 'llama' at {llm.url} ")
        await waiting(server, run_id, "cannot be reached")
        await llm.start()
        run = await finished(server, run_id)
        assert (run["status"], run["total_tokens"]) == ("completed", 999)
        assert await artifacts(server) == ANSWERS


async def test_refused_key_fails_the_run_at_once_and_is_told_nowhere(
    llm: LLMServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key that is wrong is not tried again; the run says which setting to mend, and nothing told has the key."""
    llm.always(refusing(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))
    async with live_server(tmp_path / "home", **settings_for(llm)) as server:
        run_id = await server.start_run()
        run = await finished(server, run_id)
        told = json.dumps([run, await server.log(run_id)]) + repr(server.home.settings)
    assert run["status"] == "failed"
    assert "check RUNCAST_LLM_API_KEY" in run["steps"][0]["error_message"]
    assert len(llm.asked) == 1
    assert KEY not in told
    output = capfd.readouterr()
    assert KEY not in output.out + output.err


async def test_document_that_does_not_fit_is_not_sent_and_named_in_every_artifact(
    llm: LLMServer, tmp_path: Path
) -> None:
    """The limit of the context holds for what is sent, and whoever reads an artifact sees what it is not about."""
    async with live_server(tmp_path / "home", **settings_for(llm, llm_context_tokens=1000)) as server:
        await server.home.import_document("docs/huge.md", b"The system MUST be huge.\n" * 900)
        run = await finished(server, await server.start_run())
        made = await artifacts(server)
    assert run["status"] == "completed"
    assert not any("MUST be huge" in exchange.body["messages"][1]["content"] for exchange in llm.asked)
    assert all("<not_shown>" in exchange.body["messages"][1]["content"] for exchange in llm.asked)
    assert [content.rstrip().split("\n")[-1] for content in (made[agent_type] for agent_type in ALL_AGENTS)] == [
        "- docs/huge.md", "- docs/huge.md", "// - docs/huge.md",
    ]  # fmt: skip


async def test_no_document_fits_run_fails_at_once_and_model_is_not_asked(llm: LLMServer, tmp_path: Path) -> None:
    """With nothing to read there is nothing to ask; the run says which limit to raise."""
    async with live_server(tmp_path / "home", **settings_for(llm, llm_context_tokens=1)) as server:
        run = await finished(server, await server.start_run())
    assert run["status"] == "failed"
    assert "raise RUNCAST_LLM_CONTEXT_TOKENS" in run["steps"][0]["error_message"]
    assert llm.asked == []


async def test_cancelled_run_closes_its_connection_to_the_model(llm: LLMServer, tmp_path: Path) -> None:
    """Who cancels a run stops what it costs: the endpoint sees the connection closed while it still answers."""
    llm.next(falling_silent(delta("# half an answer")))
    async with live_server(tmp_path / "home", **settings_for(llm)) as server:
        run_id = await server.start_run()
        asked = await llm.request()
        answer = await server.http.post(f"{server.project}/agent-runs/{run_id}/cancel")
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(30):
            await asked.gone.wait()
        run = await finished(server, run_id)
    assert run["error_code"] == "CANCELLED"
    assert len(llm.asked) == 1


async def test_server_that_stops_closes_its_connection_to_the_model(llm: LLMServer, tmp_path: Path) -> None:
    """No endpoint goes on working for a server that has gone; the next server asks anew and completes the run."""
    llm.next(falling_silent(delta("# half an answer")))
    async with live_server(tmp_path / "home", **settings_for(llm)) as server:
        run_id = await server.start_run(["ba_consultant"])
        asked = await llm.request()
    async with asyncio.timeout(30):
        await asked.gone.wait()
    async with live_server(tmp_path / "home", with_document=False, **settings_for(llm)) as server:
        run = await finished(server, run_id)
    assert (run["status"], run["total_tokens"]) == ("completed", 333)
    assert len(llm.asked) == 2
