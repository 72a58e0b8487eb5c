"""What delivery and runs count: plain numbers, in their places."""

from __future__ import annotations

from orchestrator.events import BUDGET_EXCEEDED, CANCELLED, INTERRUPTED, STEP_FAILED
from realtime.counts import DeliveryCounts, Distribution, RunCounts, RunOutcome, SpendingCounts


def test_distribution_counts_a_value_at_the_first_bound_it_does_not_exceed() -> None:
    """A value equal to a bound belongs to it, as in a histogram of Prometheus; beyond the last is a place as well."""
    distribution = Distribution((1, 5))
    for value in (0, 1, 1.5, 5, 6, 600):
        distribution.add(value)
    assert distribution.counts == [2, 2, 2]
    assert distribution.sum == 613.5


def test_counts_begin_at_nothing() -> None:
    """Each broadcaster counts for itself."""
    first, second = DeliveryCounts(), DeliveryCounts()
    first.published += 1
    first.flush_events.add(3)
    assert (second.published, second.deliveries, second.bytes, second.lagging) == (0, 0, 0, 0)
    assert sum(second.flush_events.counts) == 0
    assert set(second.resumes.values()) == {0}


def test_run_outcomes_are_success_and_the_codes_that_runs_end_with() -> None:
    """Whatever the orchestrator ends a run with has a place of its own."""
    codes = {STEP_FAILED, BUDGET_EXCEEDED, CANCELLED, INTERRUPTED}
    assert {*RunOutcome} == {RunOutcome.COMPLETED, RunOutcome.OTHER, *codes}


def test_run_with_an_unknown_code_counts_as_other() -> None:
    """No code, however odd, adds a place."""
    counts = RunCounts()
    for outcome in (CANCELLED, "SOLAR_FLARE", "", "cancelled"):
        counts.ended(outcome)
    assert counts.outcomes == {**dict.fromkeys(RunOutcome, 0), "CANCELLED": 1, "other": 3}


def test_take_overs_are_counted() -> None:
    """One by one."""
    counts = RunCounts()
    counts.took_over()
    counts.took_over()
    assert counts.takeovers == 2


def test_spending_is_counted_by_agent_and_from_nothing() -> None:
    """Agents that are named have a place before they spend; others get one when they do."""
    counts = SpendingCounts(["ba_consultant"])
    assert counts.tokens == {"ba_consultant": 0}
    for agent_type, tokens in (("ba_consultant", 5), ("qa_consultant", 7), ("ba_consultant", 1)):
        counts.spent(agent_type, tokens)
    counts.warned()
    counts.refused()
    counts.refused()
    assert counts.tokens == {"ba_consultant": 6, "qa_consultant": 7}
    assert (counts.warnings, counts.refusals) == (1, 2)


def test_highest_share_is_that_of_the_month() -> None:
    """What tenants used of another month says nothing about this one; of each tenant the newest word counts."""
    counts = SpendingCounts()
    assert counts.highest_share("2026-11") == 0.0
    for tenant, month, share in (("a", "2026-11", 0.9), ("b", "2026-10", 1.2), ("a", "2026-11", 0.4)):
        counts.used(tenant, month, share)
    assert (counts.highest_share("2026-11"), counts.highest_share("2026-10")) == (0.4, 1.2)
