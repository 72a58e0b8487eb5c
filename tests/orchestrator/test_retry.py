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


def test_policy_without_delays_never_retries() -> None:
    """No delays: the first failure is the last."""
    assert RetryPolicy(()).delay_after(1) is None
