"""Lists as people and programs read them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool) -> None:
    """Print the rows: aligned under a heading on a terminal, with tabs between elsewhere, or as JSON objects."""
    from realtime.cli.progress import printable  # noqa: PLC0415

    if as_json:
        click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows]))
        return
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
