"""Requests that schemathesis makes up from our OpenAPI document: good ones, bad ones, and sequences of them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from live import live_server

EXAMPLES = 3
"""Per operation, beside those that try each boundary of each field."""
UNDECIDABLE = "positive_data_acceptance"
"""Whether a run can start or a document be kept is not only a matter of its form."""


@pytest.mark.timeout(120)
async def test_every_answer_to_requests_made_up_is_as_described(tmp_path: Path) -> None:
    """No 5xx; status, content type, headers and body as in the document; bad data and missing tokens are refused.

    The agents work offline, so every run ends, and with it its stream of events.
    """
    async with live_server(tmp_path / "home", max_runs_at_once=1000) as server:
        run_id = await server.start_run()
        assert await server.watched(run_id)
        arguments = (
            f"{server.url}/openapi.json",
            f"--header=Authorization: Bearer {server.token}",
            "--generation-deterministic",
            f"--max-examples={EXAMPLES}",
            f"--exclude-checks={UNDECIDABLE}",
            "--request-timeout=10",
            "--continue-on-failure",
            "--warnings=off",
            "--no-color",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            *arguments,
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            report, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, report.decode()
    assert b"No issues found" in report, report.decode()
