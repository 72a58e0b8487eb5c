"""The command ``runcast``. Fast to start: commands import what they need."""

from __future__ import annotations

import click

from realtime import __version__
from realtime.cli.admin import admin_group
from realtime.cli.serving import demo, serve
from realtime.cli.store import migrate, token
from realtime.cli.usage import usage
from realtime.cli.work import cancel, import_, retry, run, watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="runcast")
def main() -> None:
    """Run pipelines of AI agents over a project's documents, and watch them live.

    Everything is kept in a home, a folder, or in PostgreSQL. Commands that name nobody act for the local user in the
    local project, which are there by themselves; tenants, projects and members are the business of `runcast admin`.

    Exit code 0 is success, 1 a failed run or an error, 2 bad use, 130 Ctrl-C.
    """


for _command in (serve, demo, import_, run, watch, cancel, retry, usage, token, migrate, admin_group):
    main.add_command(_command)
