"""The command that tells what was spent on language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realtime.cli.finish import finish
from realtime.cli.options import target_options
from realtime.cli.table import show_table
from realtime.cli.target import Target

if TYPE_CHECKING:
    from realtime.ports import UsageInfo


@click.command()
@target_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as GET /api/v1/usage answers.")
def usage(target: Target, as_json: bool) -> None:
    """Tell what the tenant's agents have spent on language models in this month (UTC), in tokens.

    The limit is that of the server (RUNCAST_MONTHLY_TOKENS); where none runs, that of this command's environment.
    """
    finish(_usage(target, as_json))


async def _usage(target: Target, as_json: bool) -> int:
    import msgspec  # noqa: PLC0415

    told = await _read(target)
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return 0
    figures = [told.spent, told.reserved, told.remaining, told.limit]
    row = [told.month, *("none" if figure is None else str(figure) for figure in figures), told.resets_at]
    show_table(["month", "spent", "reserved", "remaining", "limit", "resets_at"], [row], as_json=False)
    return 0


async def _read(target: Target) -> UsageInfo:
    """From the server that is meant; where nobody serves the home, from the home."""
    from realtime.cli.inside import check_home, make_token, usage_of  # noqa: PLC0415
    from realtime.cli.served import connect, find_running  # noqa: PLC0415
    from realtime.client import RunClient  # noqa: PLC0415

    if target.url is not None:
        async with RunClient(target.url, target.token) as client:
            return await client.usage()
    check_home(target.place, "name it with --home, or a server with --url")
    running = await find_running(target.place)
    if running is None:
        return await usage_of(target)
    async with connect(running, await make_token(target.place, target.named, None)) as client:
        return await client.usage()
