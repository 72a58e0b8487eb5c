"""A language model that does what a test says when it says so: runs are held and moved without sleeping."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.ports import ModelChunk, ModelProgress, ModelRequest, ModelText, ModelUsage

ANSWERS = {
    "ba_consultant": "# Coverage matrix\n\n| Requirement | Source |\n|---|---|\n| <b>REQ-1</b> & more | shop.md:3 |",
    "qa_consultant": "# Checklist\n\n- [ ] Pay by invoice",
    "automation_consultant": "// Checkout\nimport { test } from '@playwright/test';",
}

TOKENS = 1204
"""What each answer costs."""

Act = Callable[[], ModelChunk | None]
"""What the model does next: an answer's part, None at its end, or raise."""


class Stage:
    """Every agent waits for its cue. Called from the test's thread; the agents act on the server's loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cues: defaultdict[str, asyncio.Queue[Act]] = defaultdict(asyncio.Queue)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Agents act on ``loop``; cues that nobody took are forgotten."""
        self._loop = loop
        self._cues.clear()

    def progress(self, agent_type: str, percent: int, label: str) -> None:
        """The agent says how far it is."""
        self._cue(agent_type, lambda: ModelProgress(percent, label))

    def finish(self, *agent_types: str) -> None:
        """These agents answer, each when it is its turn."""
        for agent_type in agent_types:
            answer = ANSWERS[agent_type]
            self._cue(agent_type, lambda answer=answer: ModelText(answer))
            self._cue(agent_type, lambda: ModelUsage(TOKENS))
            self._cue(agent_type, lambda: None)

    def fail(self, agent_type: str, message: str) -> None:
        """The agent's model fails."""

        def act() -> None:
            raise ModelError(message)

        self._cue(agent_type, act)

    def _cue(self, agent_type: str, act: Any) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: self._cues[agent_type].put_nowait(act))

    async def perform(self, agent_type: str) -> AsyncIterator[ModelChunk]:
        """One answer, cue by cue."""
        while (chunk := (await self._cues[agent_type].get())()) is not None:
            yield chunk


class StagedModel:
    """`orchestrator.ports.LanguageModel` on a stage; made as the offline model is."""

    name = "staged"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def estimate(self, request: ModelRequest) -> int:
        """As little as can be."""
        return 1

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer, as the test cues it."""
        return self._stage.perform(request.agent_type)
