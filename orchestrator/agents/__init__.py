"""The agents of the catalogue, ready to work: they keep nothing between runs and can work on many at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.agents.automation_consultant import AutomationConsultant
from orchestrator.agents.ba_consultant import BaConsultant
from orchestrator.agents.qa_consultant import QaConsultant
from orchestrator.ports import Agent

__all__ = ["AGENTS"]

_ALL: tuple[Agent, ...] = (BaConsultant(), QaConsultant(), AutomationConsultant())

AGENTS: Mapping[str, Agent] = MappingProxyType({agent.agent_type: agent for agent in _ALL})
"""Every agent by its type."""
