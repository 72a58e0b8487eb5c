"""What the README shows is there and works as shown."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
from live import live_server

from realtime.cli import main
from realtime.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    """The fenced code blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The arguments of every call of a program, in shell blocks and in the text."""
    lines = [line for block in blocks("sh") for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", README)
    calls = [shlex.split(line, comments=True) for line in lines if re.match(rf"{program}\b", line)]
    return [call for call in calls if call]


async def test_python_example_runs_as_it_stands(tmp_path: Path) -> None:
    """Pasted into a file and given a token, it starts a run and prints the run's events up to the last."""
    (example,) = blocks("python")
    assert URL in example
    async with live_server(tmp_path / "home") as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", example.replace(URL, server.url),
            env={**os.environ, "RUNCAST_TOKEN": server.token},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    lines = out.decode().splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    assert "'all_done': True" in lines[-1]


def test_commands_and_their_options_exist() -> None:
    """Every ``runcast`` command of the README is one, with the options that it is shown with."""
    calls = [call for call in commands("runcast") if len(call) > 1]
    assert {call[1] for call in calls} >= {"serve", "token", "import", "run", "watch"}
    for _, *arguments in calls:
        command: click.Command = main
        while arguments and isinstance(command, click.Group):
            command = command.commands[arguments.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known, command.name


def test_scripts_exist_and_can_be_executed() -> None:
    """Every script of the README is there; the options of the demo are those of the command."""
    calls = commands(r"\./scripts/")
    assert {call[0] for call in calls} >= {"./scripts/demo", "./scripts/test", "./scripts/check"}
    for script, *arguments in calls:
        assert os.access(ROOT / script, os.X_OK), script
        known = {option for parameter in main.commands["demo"].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known, script


def test_variables_are_read_by_somebody() -> None:
    """Every ``RUNCAST_…`` of the README is a setting, or names the server elsewhere."""
    settings = {f"RUNCAST_{name.upper()}" for name in Settings.__struct_fields__}
    assert set(re.findall(r"\bRUNCAST_[A-Z_]+[A-Z]", README)) <= settings | {"RUNCAST_URL", "RUNCAST_TOKEN"}


@pytest.mark.parametrize("target", re.findall(r"\]\(([^):]+)\)", README))
def test_link_leads_somewhere(target: str) -> None:
    """No file, and no heading in one, that the README points to is missing."""
    file, _, anchor = target.partition("#")
    assert (ROOT / file).exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_page_example_is_one_that_a_browser_runs() -> None:
    """The page of the README stands in docs/embedding.md, whose examples are run by tests/browser."""
    (page,) = blocks("html")
    assert page in (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
