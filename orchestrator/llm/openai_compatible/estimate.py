"""How far an answer is, whose length nobody knows before it ends. Pure."""

from __future__ import annotations

import math

from orchestrator.context import BYTES_PER_TOKEN
from orchestrator.ports import ModelProgress

HIGHEST = 95
_LEAST_EXPECTED = 500
_STEP = 10


def expected_tokens(request_tokens: int, max_output_tokens: int) -> int:
    """How long the answer will be, about: these agents write half as much as they read, and at least a page."""
    return min(max(_LEAST_EXPECTED, request_tokens // 2), max_output_tokens)


class AnswerProgress:
    """Progress from what has been streamed. It never falls, and never passes 95 %: nobody knows the end before it.

    At the length that is expected it is at 82 %; from there on it slows down, and means "longer than expected".
    """

    def __init__(self, model: str, expected: int) -> None:
        self._expected = expected
        self._thought = 0
        self._written = 0
        self._newest = ModelProgress(0, f"Waiting for {model} to answer")

    @property
    def newest(self) -> ModelProgress:
        """What there is to tell."""
        return self._newest

    @property
    def tokens(self) -> int:
        """About how many tokens have been streamed, thoughts included."""
        return -(-(self._thought + self._written) // BYTES_PER_TOKEN)

    def add(self, text: str, thought: str) -> bool:
        """Count a piece. True: there is something new to tell."""
        self._written += len(text.encode(errors="surrogatepass"))
        self._thought += len(thought.encode(errors="surrogatepass"))
        percent = int(HIGHEST * -math.expm1(-2 * self.tokens / self._expected))
        told, self._newest = self._newest, ModelProgress(percent, self._label())
        return self._newest != told

    def _label(self) -> str:
        doing, size = ("Writing", self._written) if self._written else ("Thinking", self._thought)
        return f"{doing}: ~{-(-size // (BYTES_PER_TOKEN * _STEP)) * _STEP} tokens"
