"""The agents of the catalogue, ready to work: they keep nothing between runs and can work on many at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.agents.automation_consultant import AutomationConsultant
from orchestrator.agents.ba_consultant import BaConsultant
from orchestrator.agents.base import Consultant
from orchestrator.agents.qa_consultant import QaConsultant

__all__ = ["AGENTS"]

_ALL: tuple[Consultant, ...] = (BaConsultant(), QaConsultant(), AutomationConsultant())

AGENTS: Mapping[str, Consultant] = MappingProxyType({agent.agent_type: agent for agent in _ALL})
"""Every agent by its type."""
