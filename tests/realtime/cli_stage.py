"""The command ``runcast`` in tests: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from realtime.cli import main

RUNCAST = [str(Path(sys.executable).with_name("runcast"))]
SPEC = "# Shop\n\n- REQ-1: A customer MUST be able to pay by invoice within 14 days.\n"
NOBODYS_RUN = "00000000-0000-4000-8000-000000000000"


def runcast(*arguments: str | Path, **environment: str) -> Result:
    """The command in this process; it starts no server that stays."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


def told(*arguments: str | Path, **environment: str) -> str:
    """What a command prints that succeeds."""
    result = runcast(*arguments, **environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str | Path, **environment: str) -> str:
    """The one line that a command prints which fails."""
    result = runcast(*arguments, **environment)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    return line


def spawn(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [*RUNCAST, *(str(argument) for argument in arguments)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that ends by itself."""
    out, err = process.communicate(timeout=40)
    return process.returncode, out, err


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """The line of the process's output that matches, once it is there."""
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no line matches {pattern!r}: {process.stderr and process.stderr.read()}")


def url_of(home: Path) -> str:
    """Where the home is served."""
    return str(json.loads((home / "server.json").read_text())["url"])
