"""``docs/administration.md``: its examples, run in their order, over both databases."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_stage import finish, read_until, runcast, spawn, told
from place_stage import dialect, elsewhere, spec
from postgres_server import PostgresServer

__all__ = ["dialect", "elsewhere", "spec"]

TEXT = (Path(__file__).parents[2] / "docs/administration.md").read_text(encoding="utf-8")
EXAMPLES = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.fixture
def fresh(
    dialect: str, elsewhere: None, spec: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What the examples begin with: a home in SQLite, or an empty database."""
    if dialect == "sqlite":
        told("import", spec)
        yield
        return
    with postgres.empty_database() as url:
        monkeypatch.setenv("RUNCAST_DATABASE_URL", url)
        yield


@pytest.mark.usefixtures("fresh")
def test_examples_work_as_they_stand() -> None:
    """Each command succeeds; those that need a server do so beside one."""
    assert len(EXAMPLES) >= 15
    run_id = "none yet"
    for example in EXAMPLES:
        program, *arguments = shlex.split(example.replace("RUN_ID", run_id), comments=True)
        assert program == "runcast"
        if arguments[0] == "serve":
            check_serving(*arguments)
        elif "--link" in arguments:
            process = spawn("serve", "--port", "0")
            read_until(process, "^Serving")
            assert "/sign-in?code=" in told(*arguments)
            end(process)
        else:
            result = runcast(*arguments)
            assert result.exit_code == 0, (example, result.output)
            run_id = (re.findall(r"^Run ([0-9a-f-]{36}) of", result.stderr, re.MULTILINE) or [run_id])[0]


def check_serving(*arguments: str) -> None:
    """The server says where it is, and ends when it is told to."""
    port = arguments[arguments.index("--metrics-port") + 1]
    process = spawn(*("0" if argument == port else argument for argument in arguments), "--port", "0")
    read_until(process, "^Serving ")
    assert re.search(r"http://127\.0\.0\.1:\d+/metrics$", read_until(process, "^Metrics at "))
    read_until(process, "^To sign in, once: ")
    end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, which is a proper end."""
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "Traceback" in err) == (0, False), err


def test_error_of_the_text_is_the_one_that_is_told(elsewhere: None) -> None:
    """The error that is quoted reads so, letter by letter."""
    told("admin", "tenant", "add", "acme")
    result = runcast("admin", "member", "list", "--tenant", "acme", "--project", "shop")
    assert result.stderr in TEXT
