"""``scripts/torture``: prints figures, and says by its exit code whether everything that is promised was kept."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec
from postgres_server import own_server
from rich.console import Console
from rich.table import Table
from torture import Figures, Options, torture

EMBEDDED = "embedded"


@click.command(context_settings={"show_default": True})
@click.option("--seed", default=1, help="What random moments are drawn from.")
@click.option("--kills", default=100, type=click.IntRange(1), help="How often the server is killed.")
@click.option("--runs", default=20, type=click.IntRange(1), help="Runs; each has three viewers.")
@click.option("--servers", default=1, type=click.IntRange(1), help="Servers; several need PostgreSQL.")
@click.option("--database", help=f"postgresql://..., or '{EMBEDDED}' for one of our own.  [default: SQLite]")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures there.")
def main(*, seed: int, kills: int, runs: int, servers: int, database: str | None, file: Path | None) -> None:
    """Kill servers again and again under runs and viewers, and see that nothing is lost or done twice."""
    if servers > 1 and database is None:
        raise click.UsageError("A home in SQLite has one server; name a --database for several.")
    with ExitStack() as stack:
        if database == EMBEDDED:
            database = stack.enter_context(stack.enter_context(own_server()).database())
        options = Options(seed=seed, kills=kills, runs=runs, servers=servers, database_url=database)
        figures = asyncio.run(_until_terminated(torture(options, lambda text: click.echo(text, err=True))))
    show(figures)
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(flat(figures))))
    sys.exit(0 if figures.faults.none and not figures.missed_kills else 1)


async def _until_terminated(work: Coroutine[Any, Any, Figures]) -> Figures:
    """What ``work`` comes to. SIGTERM cancels it, as Ctrl-C does, so that it can clean up."""
    working = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    try:
        return await working
    except asyncio.CancelledError:
        raise click.Abort from None


def flat(figures: Figures) -> dict[str, object]:
    """All figures side by side."""
    told: dict[str, object] = msgspec.to_builtins(figures)
    faults, troubles = told.pop("faults"), told.pop("troubles")
    assert isinstance(faults, dict)
    assert isinstance(troubles, dict)
    return told | troubles | faults


def show(figures: Figures) -> None:
    """Print them."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, figure in flat(figures).items():
        table.add_row(name.replace("_", " "), str(figure))
    Console(width=80).print(table)


main()
