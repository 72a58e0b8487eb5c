"""What delivery counts: plain numbers, in their places."""

from __future__ import annotations

from realtime.counts import DeliveryCounts, Distribution


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
