"""When a failed step is tried again."""

from __future__ import annotations

from orchestrator.retry import RetryPolicy


def test_default_policy_waits_5_10_and_20_seconds() -> None:
    """Three retries by default, each after a longer wait; the fourth failure is the last."""
    policy = RetryPolicy()
    assert [policy.delay_after(failure) for failure in range(1, 6)] == [5, 10, 20, None, None]


def test_policy_with_other_delays_follows_them() -> None:
    """Delays can be set, also to zero, which is a retry and not the end."""
    policy = RetryPolicy((0.0, 1.5))
    assert [policy.delay_after(failure) for failure in range(1, 4)] == [0.0, 1.5, None]


def test_policy_grants_a_longer_wait_within_bounds() -> None:
    """Who asks for less gets the usual wait, who asks for hours two minutes; after the last there is none."""
    policy = RetryPolicy()
    assert [policy.delay_after(2, asked_s) for asked_s in (3, 60, 7200)] == [10, 60, 120]
    assert policy.delay_after(4, 60) is None


def test_policy_without_delays_never_retries() -> None:
    """No delays: the first failure is the last."""
    assert RetryPolicy(()).delay_after(1) is None
