"""What servers of the protocol differ in: where they are asked, and which fields of a request they take. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrator.llm.openai_compatible.messages import Message

_PATH = "/chat/completions"


def api_url(base_url: str) -> str:
    """The root of the API as people give it: a bare host means its ``/v1``, anything else is taken as it is."""
    root = base_url.rstrip("/").removesuffix(_PATH)
    return root if "/" in root.partition("://")[2] else f"{root}/v1"


def completions_url(base_url: str) -> str:
    """Where chat completions are asked for."""
    return api_url(base_url) + _PATH


class Dialect(msgspec.Struct, frozen=True):
    """Names of the fields that a server takes; the defaults are those that most know."""

    limit_field: str = "max_tokens"
    asks_for_usage: bool = True

    def body(self, model: str, messages: Sequence[Message], max_output_tokens: int) -> dict[str, Any]:
        """The request for a streamed answer."""
        body: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "stream": True,
            self.limit_field: max_output_tokens,
        }
        return body | {"stream_options": {"include_usage": True}} if self.asks_for_usage else body

    def after_refusal(self, status: int, message: str) -> Dialect | None:
        """The dialect to ask in next, where the server refused a field of this one; None: it refused something else.

        Models that reason take ``max_completion_tokens`` only (OpenAI says so in the error), and some servers are
        strict about fields that they do not know. Each change is made once, so that asking again comes to an end.
        """
        if status not in {400, 422}:
            return None
        if self.limit_field == "max_tokens" and "max_completion_tokens" in message:
            return msgspec.structs.replace(self, limit_field="max_completion_tokens")
        if self.asks_for_usage and "stream_options" in message:
            return msgspec.structs.replace(self, asks_for_usage=False)
        return None
