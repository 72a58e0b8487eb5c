"""The agents there are, the ways to line them up, and what makes a selection valid."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from orchestrator.errors import (
    DuplicateAgentError,
    InvalidAgentTypeError,
    InvalidPipelineModeError,
    NoAgentsSelectedError,
)


class PipelineMode(StrEnum):
    """How the selected agents of a run follow each other."""

    SEQUENTIAL = "sequential"
    """In the order selected; each agent reads the artifacts of those before it."""
    PARALLEL = "parallel"
    """Side by side; each agent reads only the documents."""


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One agent of the catalogue, in words for the person who selects it."""

    agent_type: str
    name: str
    needs: str
    gives: str


CATALOGUE: tuple[AgentInfo, ...] = (
    AgentInfo(
        agent_type="ba_consultant",
        name="Business analyst",
        needs="Project documents with requirements, acceptance criteria or interface descriptions",
        gives="Requirements coverage matrix with the source line of each requirement",
    ),
    AgentInfo(
        agent_type="qa_consultant",
        name="QA consultant",
        needs="Project documents; reads the coverage matrix when it runs after the business analyst",
        gives="Manual test checklists and Gherkin scenarios",
    ),
    AgentInfo(
        agent_type="automation_consultant",
        name="Test automation consultant",
        needs="Project documents; reads the scenarios when it runs after the QA consultant",
        gives="Playwright test scripts in TypeScript",
    ),
)

AGENT_TYPES: tuple[str, ...] = tuple(agent.agent_type for agent in CATALOGUE)


def validate_selection(agents_selected: Sequence[str]) -> tuple[str, ...]:
    """The selection, unchanged, in order.

    Raises:
        NoAgentsSelectedError: it is empty.
        InvalidAgentTypeError: it names an agent that is not in the catalogue.
        DuplicateAgentError: it names one agent twice.

    """
    if not agents_selected:
        raise NoAgentsSelectedError(f"No agent is selected; expected one or more of {', '.join(AGENT_TYPES)}.")
    for agent_type in agents_selected:
        if agent_type not in AGENT_TYPES:
            raise InvalidAgentTypeError(
                f"Unknown agent {agent_type[:64]!r}; expected one of {', '.join(AGENT_TYPES)}."
            )
    if len(set(agents_selected)) < len(agents_selected):
        raise DuplicateAgentError("An agent is selected more than once; expected each at most once.")
    return tuple(agents_selected)


def parse_mode(mode: str) -> PipelineMode:
    """The pipeline mode of that name.

    Raises:
        InvalidPipelineModeError: there is none of that name.

    """
    try:
        return PipelineMode(mode)
    except ValueError:
        known = ", ".join(PipelineMode)
        raise InvalidPipelineModeError(f"Unknown pipeline mode {mode[:64]!r}; expected one of {known}.") from None
