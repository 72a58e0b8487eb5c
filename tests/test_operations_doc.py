"""What docs/operations.md says of settings and metrics is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from realtime.counts import DeliveryCounts
from realtime.metrics import Metrics
from realtime.settings import Settings

TEXT = (Path(__file__).parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| `RUNCAST_")]


def _told(default: object) -> str:
    """A default as the tables have it."""
    if default is None or default == ():
        return "none"
    if isinstance(default, tuple):
        return "`" + ",".join(f"{number:g}" for number in default) + "`"
    return f"`{default:.12g}`" if isinstance(default, int | float) else f"`{default}`"


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=lambda field: field.name)
def test_setting_is_documented_with_its_default(field: msgspec.structs.FieldInfo) -> None:
    """Each setting has its place in a table, and the default there is the one in the code."""
    variable = f"`RUNCAST_{field.name.upper()}`"
    (row,) = [row for row in ROWS if variable in row]
    names, defaults = (cell.split(", ") for cell in row.strip("| ").split(" | ")[:2])
    told = "none" if field.name != "secret" else "the home's own"
    assert defaults[names.index(variable)] == (told if field.default is None else _told(field.default))


def test_documented_settings_are_those_there_are() -> None:
    """No variable is promised that nobody reads."""
    documented = {name for row in ROWS for name in re.findall(r"`RUNCAST_(\w+)`", row.split(" | ")[0])}
    assert documented == {field.name.upper() for field in msgspec.structs.fields(Settings)}


def test_every_series_is_documented() -> None:
    """The table of series is complete, and has none that is not there."""
    served = set(re.findall(r"^# TYPE (runcast_\w+)", Metrics(DeliveryCounts()).render().decode(), re.MULTILINE))
    assert set(re.findall(r"`(runcast_\w+?)(?:{[\w,]+})?`", TEXT)) == served
