"""A language model that nobody reaches for a while: steps wait and say so, and runs go on when it is back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from live import ALL_AGENTS, live_server
from llm_server import falling_silent, llm_server, well
from process_stage import attempts_in

from realtime.settings import Settings

OUTAGE_S = float(os.environ.get("RUNCAST_TEST_OUTAGE_S", "3"))
DELAYS = Settings().retry_delays_s
"""The server's own waits, which outlast 30 s; here for an outage of `OUTAGE_S`."""

RETRIES_S = tuple(delay * OUTAGE_S / 30 for delay in DELAYS)


@pytest.mark.timeout(60 + 2 * OUTAGE_S)
async def test_model_gone_for_as_long_as_retries_last_costs_attempts_and_no_run(tmp_path: Path) -> None:
    """The step says when it tries again and why; its next attempt that finds the model completes."""
    async with llm_server() as llm:
        settings = {"llm_base_url": llm.url, "llm_model": "small", "retry_delays_s": RETRIES_S}
        async with live_server(tmp_path / "home", **settings) as server:
            await llm.stop()
            loop = asyncio.get_running_loop()
            back_at = loop.time() + OUTAGE_S
            run_id = await server.start_run()
            async with server.socket() as viewer:
                await viewer.ask({"op": "subscribe", "run_id": run_id})
                await asyncio.sleep(back_at - loop.time())
                await llm.start()
                async with asyncio.timeout(OUTAGE_S + 20):
                    seen = await viewer.events_until()
            snapshot = await server.snapshot(run_id)
    waits = [event["payload"] for event in seen if "retry_at" in event["payload"]]
    assert [wait["attempt"] for wait in waits] == list(range(1, len(waits) + 1))
    assert 1 <= len(waits) <= len(DELAYS)
    assert all(llm.url in wait["reason"] for wait in waits)
    assert snapshot["status"] == "completed"
    assert attempts_in(seen) == [*range(1, len(waits) + 2), 1]
    assert [event["payload"]["agent_type"] for event in seen if "artifact_id" in event["payload"]] == ALL_AGENTS


async def test_model_gone_for_longer_fails_the_step_and_a_retry_does_only_what_is_missing(tmp_path: Path) -> None:
    """The run ends with a reason that names the model; retried when that is back, it takes over what there was."""
    async with llm_server() as llm:
        settings = {"llm_base_url": llm.url, "llm_model": "small", "retry_delays_s": (0.1,)}
        async with live_server(tmp_path / "home", **settings) as server:
            llm.next(well, falling_silent())
            run_id = await server.start_run()
            async with server.socket() as viewer:
                await viewer.ask({"op": "subscribe", "run_id": run_id})
                await llm.request(2)
                await llm.stop()
                await viewer.events_until()
            failed = await server.snapshot(run_id)
            await llm.start()
            retried = await server.http.post(f"{server.project}/agent-runs/{run_id}/retry")
            assert retried.status_code == 201, retried.text
            await server.watched(retried.json()["id"])
            snapshot = await server.snapshot(retried.json()["id"])
    assert (failed["status"], failed["error_code"]) == ("failed", "STEP_FAILED")
    assert llm.url in failed["error_message"]
    assert [step["status"] for step in failed["steps"]] == ["completed", "failed", "cancelled"]
    assert (snapshot["status"], snapshot["retry_of"]) == ("completed", run_id)
    assert snapshot["steps"][0]["artifact_id"] == failed["steps"][0]["artifact_id"]
