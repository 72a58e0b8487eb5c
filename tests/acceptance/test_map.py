"""The map of the acceptance criteria leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
MAP = TESTS.parent / "docs" / "acceptance.md"


def test_every_test_that_is_named_exists() -> None:
    """Each ``file::test`` in docs/acceptance.md is a test in that file, and each of the criteria's tests is named."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", MAP.read_text())
    assert len(named) > 40
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^(async )?def {test}\(", (TESTS / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
    of_criteria = {
        (f"acceptance/{path.name}", test)
        for path in (TESTS / "acceptance").glob("test_ac*.py")
        for test in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert of_criteria <= set(named)
