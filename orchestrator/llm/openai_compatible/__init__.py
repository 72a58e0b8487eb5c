"""Language models behind any endpoint that speaks OpenAI's chat completions, streamed.

A request becomes messages (``messages``) and a body (``dialect``); the bytes that come back become pieces of an
answer (``stream``) and progress (``estimate``); what goes wrong becomes words (``failures``). Everything but
``model`` is pure.
"""

from orchestrator.llm.openai_compatible.model import OpenAICompatibleModel

__all__ = ["OpenAICompatibleModel"]
