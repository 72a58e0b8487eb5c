"""``runcast usage`` and ``runcast run --no-cache``, over both databases."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_stage import finish, read_until, refused, runcast, spawn, told, url_of
from place_stage import dialect, elsewhere, home, spec

__all__ = ["dialect", "elsewhere", "home", "spec"]

AS_LEAD = ("--tenant", "acme", "--user", "lead@example.org")

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def served(home: Path, spec: str) -> Iterator[Path]:
    """A home with a document, served by a process of its own that lets a tenant spend 10 000 tokens a month."""
    told("import", spec)
    process = spawn("serve", "--port", "0", RUNCAST_MONTHLY_TOKENS="10000")
    read_until(process, "^Serving")
    yield home
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "Traceback" in err) == (0, False), err


def test_usage_is_that_of_the_server(served: Path) -> None:
    """A run's tokens are told by the server that carried it out, with its limit; as a table, and as REST has it."""
    result = runcast("run", "--agents", "ba_consultant", "--no-cache")
    assert result.exit_code == 0, result.stderr
    as_rest = json.loads(told("usage", "--json"))
    assert 0 < as_rest["spent"] < 10_000
    assert (as_rest["limit"], as_rest["remaining"], as_rest["warning"]) == (10_000, 10_000 - as_rest["spent"], False)
    cells = told("usage").rstrip("\n").split("\t")
    assert cells == [str(as_rest[name]) for name in ("month", "spent", "reserved", "remaining", "limit", "resets_at")]
    by_url = told("usage", "--json", "--url", url_of(served), RUNCAST_TOKEN=told("token").strip())
    assert json.loads(by_url) == as_rest


def test_usage_without_a_server_is_read_from_the_store(home: Path, spec: str) -> None:
    """Nothing is served for it; the limit is that of the environment."""
    told("import", spec)
    unlimited = json.loads(told("usage", "--json"))
    assert (unlimited["spent"], unlimited["limit"], unlimited["remaining"]) == (0, None, None)
    limited = told("usage", RUNCAST_MONTHLY_TOKENS="500").split("\t")
    assert limited[1:5] == ["0", "0", "500", "500"]
    assert told("usage").split("\t")[3:5] == ["none", "none"]


def test_usage_is_that_of_whoever_is_named(home: Path, spec: str) -> None:
    """A user of several projects need not say which: tokens are the tenant's."""
    told("import", spec)
    told("admin", "tenant", "add", "acme")
    for project in ("web", "app"):
        told("admin", "project", "add", "--tenant", "acme", project)
        told("admin", "member", "set", "--tenant", "acme", "--project", project, "lead@example.org", "viewer")
    assert json.loads(told("usage", "--json", *AS_LEAD))["spent"] == 0
    assert "has no user" in refused("usage", "--tenant", "acme", "--user", "nobody@example.org")


def test_usage_of_a_home_that_is_not_there_is_refused() -> None:
    """A name that is mistyped makes no home."""
    assert "There is no home missing; name it with --home" in refused("usage", "--home", "missing")
    assert not Path("missing").exists()
