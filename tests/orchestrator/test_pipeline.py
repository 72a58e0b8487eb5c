"""The catalogue of agents and what makes a selection valid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from orchestrator.agents import AGENTS
from orchestrator.errors import (
    DuplicateAgentError,
    InvalidAgentTypeError,
    InvalidPipelineModeError,
    NoAgentsSelectedError,
)
from orchestrator.pipeline import AGENT_TYPES, CATALOGUE, PipelineMode, parse_mode, validate_selection


def test_catalogue_has_the_three_agents_and_words_for_each() -> None:
    """The catalogue names the agents that there are, each once, with a text for whoever selects it."""
    assert AGENT_TYPES == ("ba_consultant", "qa_consultant", "automation_consultant")
    assert set(AGENTS) == set(AGENT_TYPES)
    assert all(agent.name and agent.needs and agent.gives for agent in CATALOGUE)


@PROPERTY
@given(st.permutations(AGENT_TYPES), st.integers(1, len(AGENT_TYPES)))
def test_selection_that_is_valid_keeps_its_order(agents: list[str], number: int) -> None:
    """Any of the agents in any order, each at most once, comes back as it is."""
    assert validate_selection(agents[:number]) == tuple(agents[:number])


def test_selection_of_nobody_is_refused() -> None:
    """A run needs an agent; the message names those that there are."""
    with pytest.raises(NoAgentsSelectedError, match="ba_consultant, qa_consultant, automation_consultant"):
        validate_selection([])


@pytest.mark.parametrize("name", ["", "BA_CONSULTANT", "ba_consultant ", "x" * 10_000])
def test_selection_of_a_stranger_is_refused(name: str) -> None:
    """A name that is not exactly one of the catalogue is refused, with a message of bounded length."""
    with pytest.raises(InvalidAgentTypeError) as refused:
        validate_selection(["qa_consultant", name])
    assert len(str(refused.value)) < 200


def test_selection_of_one_agent_twice_is_refused() -> None:
    """Each agent works at most once in a run."""
    with pytest.raises(DuplicateAgentError):
        validate_selection(["ba_consultant", "qa_consultant", "ba_consultant"])


@pytest.mark.parametrize("mode", list(PipelineMode))
def test_mode_is_found_by_its_name(mode: PipelineMode) -> None:
    """The names on the wire are those of the modes."""
    assert parse_mode(mode.value) is mode


@pytest.mark.parametrize("name", ["", "Sequential", "x" * 10_000])
def test_mode_of_another_name_is_refused(name: str) -> None:
    """Any other name is refused, with the known ones told and a message of bounded length."""
    with pytest.raises(InvalidPipelineModeError, match="sequential, parallel") as refused:
        parse_mode(name)
    assert len(str(refused.value)) < 200
