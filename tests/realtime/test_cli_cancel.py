"""``runcast cancel`` and ``runcast retry``, with and without a server, over both databases."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_stage import NOBODYS_RUN, finish, read_until, refused, spawn, told, url_of
from home_stage import AGENTS, TENANT, HomeStage
from place_stage import dialect, elsewhere, home, spec

__all__ = ["dialect", "elsewhere", "home", "spec"]

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def seeded(home: Path, spec: str) -> HomeStage:
    """A home with a document."""
    told("import", spec)
    return HomeStage(home)


@pytest.fixture
def options(dialect: str) -> str:
    """How commands name the home, in what they tell to type next."""
    return "--home home" + (' --database "$RUNCAST_DATABASE_URL"' if dialect == "postgres" else "")


@pytest.fixture
def served(seeded: HomeStage, home: Path) -> Iterator[Path]:
    """The home, served by a process of its own whose agents take a minute."""
    process = spawn("serve", "--port", "0", RUNCAST_PACE_S="60")
    read_until(process, "^Serving")
    yield home
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "Traceback" in err) == (0, False), err


def started(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """``runcast run`` in a process of its own that has begun to work, and the id of its run."""
    process = spawn("run", *arguments, **environment)
    assert process.stderr is not None
    said = process.stderr.readline()
    read_until(process, "running")
    return process, said.split()[1]


def freeze(pid: int, home: Path) -> None:
    """Stop the server where it writes nothing: SQLite lets nobody write while another is about to commit."""
    files = list((home / "tenants").glob("*.db"))
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            for file in files:
                with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
        else:
            return


def test_cancel_without_a_server_ends_that_run_alone(seeded: HomeStage, options: str) -> None:
    """The run ends where it stands; the home's other unfinished run is not carried out for it."""
    run_id, other = seeded.accept(first_done=True), seeded.accept()
    said = told("cancel", run_id)
    assert said == f"Run {run_id} is cancelled. To do it again: runcast retry {run_id} {options}\n"
    run, left = seeded.run(run_id), seeded.run(other)
    assert [step.status for step in run.steps] == ["completed", "cancelled"]
    assert (run.error_code, run.cancelled_by) == ("CANCELLED", run.started_by)
    assert (left.status, left.last_event_id) == ("queued", len(AGENTS))
    assert told("cancel", run_id) == said
    assert seeded.run(run_id).last_event_id == run.last_event_id


def test_cancel_at_the_homes_server_interrupts_the_run_for_who_watches(served: Path) -> None:
    """``run`` in another terminal ends with 1, and its last line says that the run was cancelled, and by whom."""
    watching, run_id = started("--agents", "ba_consultant")
    try:
        assert told("cancel", run_id).startswith(f"Run {run_id} is cancelled.")
        code, out, err = finish(watching)
    finally:
        watching.kill()
    assert code == 1, err
    step, end = out.splitlines()[-2:]
    assert re.fullmatch(r"\d+ error ba_consultant \d+% STEP_CANCELLED: not finished: the run was cancelled", step)
    assert re.fullmatch(r"\d+ complete - \d+% CANCELLED: The run was cancelled\. By user [0-9a-f-]{36}\.", end)
    assert f"Run {run_id}: cancelled (The run was cancelled.)" in err


def test_cancel_beside_a_server_that_is_frozen_ends_the_run(served: Path, seeded: HomeStage) -> None:
    """A frozen server is not waited for; once it goes on, its worker stops, and its viewers see the run end."""
    watching, run_id = started("--agents", "ba_consultant")
    pid = json.loads((served / "server.json").read_bytes())["pid"]
    try:
        freeze(pid, served)
        try:
            assert told("cancel", run_id).startswith(f"Run {run_id} is cancelled.")
            assert seeded.run(run_id).status == "cancelled"
        finally:
            os.kill(pid, signal.SIGCONT)
        code, out, _ = finish(watching)
    finally:
        watching.kill()
    assert (code, "CANCELLED" in out.splitlines()[-1]) == (1, True), out


def test_cancel_beside_a_run_without_server_reaches_it(seeded: HomeStage) -> None:
    """A run inside of ``runcast run`` is cancelled from another terminal, and that command ends."""
    watching, run_id = started("--agents", "ba_consultant", RUNCAST_PACE_S="60")
    try:
        told("cancel", run_id)
        code, _, err = finish(watching)
    finally:
        watching.kill()
    assert code == 1, err
    assert "cancelled" in err


def test_run_that_had_ended_before_is_told_and_no_error(seeded: HomeStage) -> None:
    """A completed run stays completed; the exit code is that of success, as the run goes on no more."""
    run_id = seeded.accept()
    seeded.complete(run_id)
    assert told("cancel", run_id) == f"Run {run_id} had ended before: completed\n"
    assert refused("retry", run_id) == (
        "Error: The run completed; expected one that failed or was cancelled. Start a new run."
    )


def test_absent_run_is_told_without_a_server_and_with_one(seeded: HomeStage, request: pytest.FixtureRequest) -> None:
    """There is no such run: the same line wherever that is found out."""
    line = "Error: There is no such run."
    assert (refused("cancel", NOBODYS_RUN), refused("retry", NOBODYS_RUN)) == (line, line)
    served = request.getfixturevalue("served")
    assert (refused("cancel", NOBODYS_RUN), refused("retry", NOBODYS_RUN)) == (line, line)
    at = {"RUNCAST_URL": url_of(served), "RUNCAST_TOKEN": told("token").strip()}
    assert (refused("cancel", NOBODYS_RUN, **at), refused("retry", NOBODYS_RUN, **at)) == (line, line)


def test_role_that_may_not_is_told_with_what_mends_it(seeded: HomeStage) -> None:
    """A viewer neither cancels nor retries; nothing is changed."""
    told("admin", "member", "set", "--tenant", TENANT, "--project", "demo", "guest@example.org", "viewer")
    run_id = seeded.accept()
    for command in ("cancel", "retry"):
        line = refused(command, run_id, "--tenant", TENANT, "--user", "guest@example.org")
        assert "guest@example.org is viewer in demo/demo; expected one of admin, owner, qa-automation" in line
    assert seeded.run(run_id).status == "queued"


def test_retry_keeps_what_was_done_and_is_watched_to_its_end(seeded: HomeStage) -> None:
    """Without a server: the new run shows the step that is kept, carries out the other, and succeeds."""
    run_id = seeded.accept(first_done=True)
    told("cancel", run_id)
    code, out, err = finish(spawn("retry", run_id))
    assert code == 0, err
    again = re.match(rf"Run ([0-9a-f-]{{36}}) does run {run_id} again \(sequential, ba_consultant reused\)\n", err)
    assert again is not None, err
    lines = out.splitlines()
    assert lines[2] == "3 complete ba_consultant 100% 0 tokens, kept from the run before"
    assert lines[-1].endswith(" complete - 100% all done")
    assert not any(" running ba_consultant " in line for line in lines)
    assert seeded.run(again[1]).retry_of == run_id


def test_retry_and_cancel_at_a_server_elsewhere(seeded: HomeStage, served: Path) -> None:
    """With a URL and a token both find the run's project by themselves; an interrupted ``retry`` tells what to do."""
    run_id = seeded.accept(first_done=True)
    at = {"RUNCAST_URL": url_of(served), "RUNCAST_TOKEN": told("token").strip(), "RUNCAST_HOME": "nowhere"}
    told("cancel", run_id, **at)
    process = spawn("retry", run_id, **at)
    try:
        read_until(process, "running")
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
    finally:
        process.kill()
    assert code == 130, err
    command = re.search(r"^To end it: runcast (cancel [0-9a-f-]{36} --url \S+)$", err, re.MULTILINE)
    assert command is not None, err
    again = command[1].split()[1]
    assert told(*command[1].split(), RUNCAST_TOKEN=at["RUNCAST_TOKEN"]).startswith(f"Run {again} is cancelled.")
    assert not Path("nowhere").exists()
