"""The page's modules and run-client.js by themselves: Node's own runner over tests/js, and the types they declare."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "js").glob("*.test.mjs"))
TSC = ROOT / ".peers" / "node_modules" / ".bin" / "tsc"
CONFIG = ROOT / "tests" / "js" / "tsconfig.json"
USAGE = ROOT / "tests" / "js" / "types" / "usage.ts"
LONGEST_S = 30
"""A file that takes longer hangs; Node then says which, and ends it."""
ALL_S = 150

pytestmark = pytest.mark.timeout(ALL_S + 10)


def program(found: str | Path | None, name: str) -> str:
    """Where the program is; without it the test fails."""
    if found is None or not Path(found).is_file():
        pytest.fail(f"no program {name} was found; scripts/test installs it (Node: 20.11 or newer)")
    return str(found)


def report_of(*command: str) -> str:
    """What the command printed; the test fails with that where it does not exit with 0."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=ALL_S, check=False)
    report = done.stdout + done.stderr
    assert done.returncode == 0, f"expected exit code 0, got {done.returncode} from {' '.join(command)}\n{report}"
    return report


def test_javascript_passes() -> None:
    """Every test of every file passes; there are files, and none of them is without a test."""
    assert FILES, "expected tests/js/*.test.mjs, found none"
    node = program(shutil.which("node"), "node")
    report = report_of(node, "--test", "--test-reporter=spec", f"--test-timeout={LONGEST_S * 1000}", *map(str, FILES))
    # Node counts a file without a test as one that passed, under the name of the file.
    empty = [file.name for file in FILES if f"✔ {file}" in report]
    assert empty == [], f"expected a test in each file, found none in {empty}\n{report}"


def test_types_of_modules_compile() -> None:
    """Every module that is served keeps to the types in its comments, in TypeScript's strict mode."""
    report_of(program(TSC, "tsc"), "--project", str(CONFIG))


def test_types_of_run_client_compile() -> None:
    """A page in TypeScript that uses what run-client.d.ts declares gets the types that it expects."""
    strict = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    report_of(program(TSC, "tsc"), *strict, str(USAGE))
