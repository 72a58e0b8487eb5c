"""``scripts/bench NAME``: one benchmark; each prints a table, and JSON where ``--json FILE`` asks for it."""

from __future__ import annotations

import click
from store import store


@click.group()
def bench() -> None:
    """Measure side by side in one run. Nothing else should be running meanwhile."""


bench.add_command(store)
bench()
