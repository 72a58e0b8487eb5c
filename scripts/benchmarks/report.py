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

CORES = len(os.sched_getaffinity(0))
"""Before anything was bound to one of them."""


def conditions() -> dict[str, Any]:
    """The machine and the interpreter, without names of hosts or people."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": CORES,
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
    }


def _processor() -> str:
    """Its name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


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
