"""How much a project can hold, as a client is told."""

from __future__ import annotations

import pytest
from live import LiveServer

from orchestrator.store import quotas


async def test_documents_beyond_the_size_of_a_project_are_413(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the upload is kept; the answer has its own code, and the size that was asked for and the limit."""
    path = f"{server.project}/documents"
    kept = (await server.http.get(path)).json()
    monkeypatch.setattr(quotas, "MAX_PROJECT_BYTES", sum(it["size"] for it in kept["documents"]) + 10)
    answer = await server.http.post(path, json={"path": "more.md", "content": "x" * 11})
    assert (answer.status_code, answer.json()["error"]) == (413, "PROJECT_TOO_LARGE")
    limit = quotas.MAX_PROJECT_BYTES
    assert f"would have {limit + 1} bytes; expected at most {limit}." in answer.json()["message"]
    assert (await server.http.get(path)).json() == kept
