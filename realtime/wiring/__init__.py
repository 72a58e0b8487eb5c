"""The composition root: the one place that knows delivery and orchestration both, and makes them one server."""

from orchestrator.ports import LanguageModel
from realtime.wiring.home import Home, HomeLockedError, mint_token, new_sign_in_link, open_home

__all__ = ["Home", "HomeLockedError", "LanguageModel", "mint_token", "new_sign_in_link", "open_home"]
