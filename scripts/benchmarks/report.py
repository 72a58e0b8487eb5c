"""What a benchmark leaves: a table for people, JSON for programs, and where it was measured."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


def conditions() -> dict[str, Any]:
    """The machine and the interpreter, without names of hosts or people."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
    }


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows with equal keys as a table, numbers with three digits that count."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(file=sys.stdout, width=120).print(table)


def keep(file: Path | None, **parts: Any) -> None:
    """Write the parts, with the conditions, as JSON."""
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode({"conditions": conditions(), **parts})))
