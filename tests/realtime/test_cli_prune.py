"""``runcast admin prune``: old logs go, and nothing else does, over both databases."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cli_stage import finish, read_until, refused, runcast, spawn, told
from home_stage import AGENTS, HomeStage
from place_stage import dialect, elsewhere, home

__all__ = ["dialect", "elsewhere", "home"]

HEAD = len(AGENTS) + 3
"""Of a run whose first step completed before it ended: its queued events, running, complete, and the end."""

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def stage(home: Path) -> HomeStage:
    """A home that holds nothing yet."""
    return HomeStage(home)


def ended(stage: HomeStage, days_ago: int, tenant: str = "demo") -> str:
    """A run that ended so many days ago and left an artifact."""
    run_id = stage.accept(tenant, first_done=True)
    stage.complete(run_id, tenant, days_ago=days_ago)
    return run_id


def test_old_logs_go_and_are_counted_by_tenant(stage: HomeStage) -> None:
    """First counted, then deleted, then nothing is left to do; runs and artifacts stay, younger logs as well."""
    old, older, young, open_ = ended(stage, 31), ended(stage, 90), ended(stage, 29), stage.accept()
    foreign = ended(stage, 31, "acme")
    before = [stage.run(run_id) for run_id in (old, older, young, open_)]
    assert told("admin", "prune", "--dry-run").splitlines() == [
        "tenant acme: logs of 1 run would be deleted",
        "tenant demo: logs of 2 runs would be deleted",
    ]
    assert stage.events(old) == HEAD
    assert told("admin", "prune").splitlines() == [
        "tenant acme: logs of 1 run deleted",
        "tenant demo: logs of 2 runs deleted",
    ]
    assert [stage.events(run_id) for run_id in (old, older, young, open_)] == [0, 0, HEAD, len(AGENTS)]
    assert [stage.artifacts(run_id) for run_id in (old, older, young)] == [1, 1, 1]
    assert [stage.run(run_id) for run_id in (old, older, young, open_)] == before
    assert (stage.events(foreign, "acme"), stage.artifacts(foreign, "acme")) == (0, 1)
    nothing = "nothing to delete: no log of a run that ended more than 30 days ago\n"
    assert told("admin", "prune") == told("admin", "prune", "--dry-run") == nothing


def test_days_and_tenant_say_which_logs_go(stage: HomeStage) -> None:
    """``--days`` goes before RUNCAST_RETENTION_DAYS, which goes before 30; ``--tenant`` leaves others alone."""
    local, foreign = ended(stage, 5), ended(stage, 5, "acme")
    assert told("admin", "prune", "--days", "6", RUNCAST_RETENTION_DAYS="1").startswith("nothing to delete")
    assert told("admin", "prune", "--tenant", "acme", RUNCAST_RETENTION_DAYS="4") == (
        "tenant acme: logs of 1 run deleted\n"
    )
    assert (stage.events(foreign, "acme"), stage.events(local)) == (0, HEAD)
    assert told("admin", "prune", "--days", "0") == "tenant demo: logs of 1 run deleted\n"


def test_prune_beside_a_server_is_what_viewers_then_see(stage: HomeStage) -> None:
    """The server has the home open: whoever watches a pruned run is told its state and its end, which is success."""
    run_id = ended(stage, 31)
    process = spawn("serve", "--port", "0", RUNCAST_RETENTION_DAYS="60")
    try:
        read_until(process, "^Serving")
        assert told("admin", "prune", "--days", "30") == "tenant demo: logs of 1 run deleted\n"
        result = runcast("watch", run_id)
    finally:
        process.send_signal(signal.SIGTERM)
        code, _, err = finish(process)
    assert (code, result.exit_code) == (0, 0), err + result.stderr
    assert result.stdout.splitlines() == [f"{HEAD} reset - 50% only how it ended is shown: log_expired"]
    assert f"Run {run_id}: completed" in result.stderr


def test_tenant_that_is_not_there_is_told(stage: HomeStage) -> None:
    """A name that is mistyped deletes nothing, also where it would only be counted."""
    ended(stage, 31)
    for flags in ([], ["--dry-run"]):
        assert refused("admin", "prune", "--tenant", "acne", *flags).startswith("Error: There is no tenant acne;")


@pytest.mark.parametrize("days", ["-1", "1.5", "nan", "36501", ""])
def test_days_that_are_none_are_bad_use(days: str, elsewhere: None) -> None:
    """Only a whole number of days makes sense of a log's age."""
    result = runcast("admin", "prune", "--days", days)
    assert result.exit_code == 2
    assert "--days" in result.stderr


def test_home_that_is_not_there_is_not_made(elsewhere: None) -> None:
    """Its name may be mistyped."""
    assert refused("admin", "prune").startswith("Error: There is no home .runcast;")
    assert not Path(".runcast").exists()
