"""``scripts/bench NAME``: one benchmark; each prints a table, and JSON where ``--json FILE`` asks for it."""

from __future__ import annotations

import click
from delivery.commands import COMMANDS
from page import page
from store import store


@click.group(context_settings={"show_default": True})
def bench() -> None:
    """Measure side by side in one run. Nothing else should be running meanwhile."""


for command in (store, page, *COMMANDS):
    bench.add_command(command)
bench()
