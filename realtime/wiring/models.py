"""The language model that agents ask."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from orchestrator.llm.offline import OfflineModel
from orchestrator.llm.openai_compatible import OpenAICompatibleModel
from orchestrator.ports import Clock, LanguageModel
from realtime.settings import Settings, SettingsError


@contextlib.asynccontextmanager
async def model_of(settings: Settings, clock: Clock) -> AsyncIterator[LanguageModel]:
    """The model that ``settings`` name, else the offline model. At the end its connections are closed.

    Raises:
        SettingsError: the authorities that its certificate is to be checked by cannot be read.

    """
    if settings.llm_base_url is None or settings.llm_model is None:
        yield OfflineModel(clock, settings.pace_s)
        return
    try:
        model = OpenAICompatibleModel(
            settings.llm_base_url,
            settings.llm_model,
            clock,
            key=settings.llm_api_key,
            timeout_s=settings.llm_timeout_s,
            max_output_tokens=settings.llm_max_output_tokens,
        )
    except OSError as error:
        raise SettingsError(f"llm_base_url: the trusted certificates cannot be read: {error}") from None
    async with contextlib.aclosing(model):
        yield model


def context_tokens_of(settings: Settings) -> int | None:
    """How much an agent reads at once; None: everything, as the offline model can."""
    return None if settings.llm_base_url is None else settings.llm_context_tokens
