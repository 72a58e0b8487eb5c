"""The commands about the store that need no server: token, migrate."""

from __future__ import annotations

import click

from realtime.cli.errors import BadUseError, CommandError
from realtime.cli.finish import finish
from realtime.cli.options import place_options, read_lifetime, user_options
from realtime.cli.target import Named, Place


@click.command()
@place_options
@user_options
@click.option(
    "--expires",
    metavar="TIME",
    callback=read_lifetime,
    help="How long it is valid: 30s, 15m, 1h, 7d; at most 365d.  [default: as long as a session, 30d]",
)
@click.option("--link", is_flag=True, help="A link that signs one browser in, once, in place of a token.")
def token(place: Place, named: Named, expires: int | None, link: bool) -> None:
    """Print a token of the local user or of --user, for programs; or a sign-in link, for a person."""
    finish(_token(place, named, expires, link))


async def _token(place: Place, named: Named, expires: int | None, link: bool) -> int:
    from realtime.cli.inside import check_home, make_link, make_token, read_settings  # noqa: PLC0415
    from realtime.cli.served import find_running  # noqa: PLC0415

    if link and expires is not None:
        raise BadUseError("--expires is for tokens; a link is valid for RUNCAST_LINK_TTL_S seconds")
    to_serve = f"runcast serve {place.options}"
    check_home(place, f"make one with: {to_serve}")
    if not link:
        click.echo(await make_token(place, named, expires))
        return 0
    url = read_settings(place).public_url
    if url is None:
        running = await find_running(place)
        if running is None:
            raise CommandError(f"No server serves {place.home}; start one with: {to_serve}")
        url = running.url
    click.echo(await make_link(place, named, url))
    return 0


@click.command()
@place_options
def migrate(place: Place) -> None:
    """Bring the store to the tables of this release; an empty PostgreSQL database gets them.

    Prints one line per schema that changed. Nothing else changes tables that are there: other commands refuse a store
    of another release. May be repeated at any time, also after it was interrupted; no server of the store may run.
    """
    finish(_migrate(place))


async def _migrate(place: Place) -> int:
    from realtime.cli.inside import check_home, migrated  # noqa: PLC0415

    check_home(place, f"the first use makes one: runcast serve {place.options}")
    report = await migrated(place)
    changed = [it for it in report.schemas if it.from_revision != it.to_revision]
    for it in changed:
        click.echo(f"{it.schema}: {it.from_revision or 'empty'} -> {it.to_revision}")
    if not changed:
        click.echo("up to date")
    return 0
