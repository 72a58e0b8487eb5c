"""What the command ``runcast`` says where a setting, a home or a server cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from client_stage import PROJECT, RUN, Peer, Script, Stage, attach, event, last, nobody, snapshot

from realtime.cli import follow as following
from realtime.cli import main
from realtime.cli.errors import CommandError
from realtime.cli.reach import Reached
from realtime.cli.target import Place, Target
from realtime.client import RunClient


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RUNCAST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def runcast(*arguments: str, **environment: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.fixture
def home() -> Path:
    """A home with one document."""
    Path("spec.md").write_text("# Shop\n")
    assert runcast("import", "spec.md", "--home", "home").exit_code == 0
    return Path("home")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RUNCAST_HEARTBEAT_S", "abc", "expected a number"),
        ("RUNCAST_PORT", "http", "expected a whole number"),
        ("RUNCAST_MONTHLY_TOKENS", "1.5", "expected a whole number"),
        ("RUNCAST_RETRY_DELAYS_S", "5;10", "expected numbers with commas between"),
        ("RUNCAST_MAX_RUNS_AT_ONCE", "0", "expected more than 0"),
    ],
)
def test_bad_setting_is_bad_use(name: str, value: str, expected: str) -> None:
    """A setting that cannot be read or used is named, with what was expected, in the words of people."""
    result = runcast("serve", **{name: value})
    assert result.exit_code == 2
    assert name.removeprefix("RUNCAST_") in result.stderr.upper()
    assert expected in result.stderr
    assert "<class" not in result.stderr
    assert not Path(".runcast").exists()


@pytest.mark.parametrize("command", [["token"], ["token", "--link"], ["watch", RUN]])
def test_home_that_is_none_is_not_made(command: list[str]) -> None:
    """What only reads a home makes none where its name was mistyped, and takes no other folder for one."""
    Path("other").mkdir()
    for name in ("typo", "other"):
        result = runcast(*command, "--home", name)
        assert result.exit_code == 1
        assert f"There is no home {name}" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not Path("typo").exists()
    assert not any(Path("other").iterdir())


@pytest.mark.parametrize("command", [["import", "spec.md"], ["token"], ["serve", "--port", "0"], ["run"]])
def test_spoilt_home_is_named_in_one_line(home: Path, command: list[str]) -> None:
    """A database that is none ends every command with one line that says which home it is."""
    (home / "shared.db").write_bytes(b"spoilt" * 1000)
    result = runcast(*command, "--home", "home")
    assert result.exit_code == 1
    assert "The home home cannot be used: " in result.stderr
    assert "not a database" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_spoilt_documents_are_named_in_one_line(home: Path) -> None:
    """The same where only the tenant's own database is spoilt."""
    (home / "tenants/demo.db").write_bytes(b"spoilt" * 1000)
    result = runcast("import", "spec.md", "--home", "home")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "The home home cannot be used: " in result.stderr


@pytest.mark.parametrize("command", [["import", "file"], ["serve", "--port", "0"], ["run"]])
def test_home_that_cannot_be_written_is_named_in_one_line(command: list[str]) -> None:
    """Where no folder can be made there is no home, and the path is in the message."""
    Path("file").touch()
    result = runcast(*command, "--home", "file/home")
    assert result.exit_code == 1
    assert "The home file/home cannot be used: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_cause_of_a_spoilt_home_is_shown_to_who_asks(home: Path) -> None:
    """With RUNCAST_LOG_LEVEL=debug the error comes whole, with what it came from."""
    shutil.rmtree(home / "tenants")
    (home / "tenants").touch()
    result = runcast("import", "spec.md", "--home", "home", RUNCAST_LOG_LEVEL="debug")
    assert isinstance(result.exception, CommandError)
    assert result.exception.__cause__ is not None


def test_watch_of_a_server_that_was_never_there_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one connection the command gives up, and says where it looked."""
    monkeypatch.setattr(following, "FIRST_CONNECTION_S", 0.3)
    with nobody() as url:
        result = runcast("watch", RUN, RUNCAST_URL=url, RUNCAST_TOKEN="t")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: {url} was not reached within 0.3 s"


async def test_watch_that_was_connected_once_waits_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for the first connection alone: what comes later than that is still waited for."""
    monkeypatch.setattr(following, "FIRST_CONNECTION_S", 2.0)

    async def cut(peer: Peer) -> None:
        await attach(peer)
        peer.say(event(1))
        await asyncio.sleep(2.5)
        peer.cut()

    async def rest(peer: Peer) -> None:
        await attach(peer, 1, 2)
        peer.say(last(2))

    def answering(**body: Any) -> Script:
        async def answer(peer: Peer) -> None:
            peer.answer(200, json.dumps(body).encode())

        return answer

    project = {"id": PROJECT, "slug": "p", "name": "P", "role": "owner"}
    afterwards = (answering(projects=[project]), answering(**snapshot(2, "completed")), answering(artifacts=[]))
    async with Stage(cut, rest, *afterwards) as stage, RunClient(stage.url) as client:
        assert await following.follow(Reached(client, Target(Place(Path("home")), stage.url, "t")), RUN)
    assert len(stage.peers) == 5
