"""The options that commands share, and what may stand in them."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from realtime.cli.target import Named, Place, Target

Command = Callable[..., None]
SCHEMES = ("postgresql", "postgres")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_LIFE_S = 365 * SECONDS["d"]
LONGEST_EMAIL = 320
LONGEST_NAME = 200


def check_tenant(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The slug of a tenant, by the rule that the store has for it; bad use where it is none."""
    from realtime.wiring import InvalidRequestError, check_tenant_slug  # noqa: PLC0415

    try:
        return value if value is None else check_tenant_slug(value)
    except InvalidRequestError as error:
        raise click.BadParameter(str(error)) from None


def check_project(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The slug of a project, likewise."""
    from realtime.wiring import InvalidRequestError, check_project_slug  # noqa: PLC0415

    try:
        return value if value is None else check_project_slug(value)
    except InvalidRequestError as error:
        raise click.BadParameter(str(error)) from None


def check_email(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """An address of a user, as short and plain as tokens can have it; bad use where it is none."""
    if len(value) > LONGEST_EMAIL or not value.isprintable() or not re.fullmatch(r"[^\s@]+@[^\s@]+", value):
        raise click.BadParameter(
            f"{value[:64]!r} is no e-mail address; expected name@domain of at most {LONGEST_EMAIL} characters"
        )
    return value


def check_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A name for people, on one line; bad use where it is none."""
    if value is not None and not (value.strip() and value.isprintable() and len(value) <= LONGEST_NAME):
        raise click.BadParameter(f"expected 1 to {LONGEST_NAME} printable characters on one line")
    return value


def read_lifetime(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """A time as ``30s``, ``15m``, ``1h`` or ``7d``, in seconds; bad use where it is none, or beyond a year."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", value)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_LIFE_S:
        raise click.BadParameter(f"{value[:64]!r} is no such time; expected 1s to 365d, as 30s, 15m, 1h or 7d")
    return seconds


def _check_database(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The URL; what is wrong with it is said without quoting it, for it may hold a password."""
    if value is None or _is_database(value):
        return value
    raise click.BadParameter(
        "expected postgresql://user:password@host:port/name, with special characters of the password "
        "percent-encoded; it is something else, which is not shown here because it may be secret"
    )


def _is_database(text: str) -> bool:
    try:
        parts = urlsplit(text)
        ports = [urlsplit(f"//{address}").port for address in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return False
    return parts.scheme in SCHEMES and "://" in text and 0 not in ports and text.isprintable() and " " not in text


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="RUNCAST_HOME",
    default=Path(".runcast"),
    show_default=True,
    show_envvar=True,
    help="Folder with everything that a local server keeps.",
)
database_option = click.option(
    "--database",
    "database_url",
    metavar="URL",
    envvar="RUNCAST_DATABASE_URL",
    show_envvar=True,
    callback=_check_database,
    help="PostgreSQL (postgresql://...) in place of the files in the home.",
)
url_option = click.option(
    "--url",
    envvar="RUNCAST_URL",
    show_envvar=True,
    help="A server elsewhere; RUNCAST_TOKEN says who asks. Default: the server of the home.",
)
paths_argument = click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]...")


def tenant_option(text: str, *, required: bool = False) -> Callable[[Command], Command]:
    """``--tenant``, explained by ``text``."""
    return click.option(
        "--tenant",
        metavar="SLUG",
        callback=check_tenant,
        envvar="RUNCAST_TENANT",
        show_envvar=True,
        required=required,
        help=text,
    )


def project_option(text: str, *, required: bool = False) -> Callable[[Command], Command]:
    """``--project``, explained by ``text``."""
    return click.option(
        "--project",
        metavar="SLUG",
        callback=check_project,
        envvar="RUNCAST_PROJECT",
        show_envvar=True,
        required=required,
        help=text,
    )


_whose_tenant = tenant_option("Tenant of the user.  [default: demo, the local one]")
_whose = click.option(
    "--user",
    metavar="EMAIL",
    envvar="RUNCAST_USER",
    show_envvar=True,
    help="For whom; needed with --tenant.  [default: owner@localhost, the local user]",
)
_in_project = project_option("Project to work in.  [default: the user's only one; demo for the local user]")


def place_options(command: Command) -> Command:
    """``--home`` and ``--database``, given to the command as one ``place``."""

    @functools.wraps(command)
    def with_place(home: Path, database_url: str | None, **rest: Any) -> None:
        command(place=Place(home, database_url), **rest)

    return home_option(database_option(with_place))


def user_options(command: Command) -> Command:
    """``--tenant`` and ``--user``, given to the command as ``named``."""

    @functools.wraps(command)
    def with_user(tenant: str | None, user: str | None, **rest: Any) -> None:
        command(named=_named(tenant, user, None), **rest)

    return _whose_tenant(_whose(with_user))


def target_options(command: Command) -> Command:
    """``--url``, ``--home``, ``--database``, ``--tenant`` and ``--user``, given to the command as one ``target``."""

    @functools.wraps(command)
    @click.pass_context
    def with_target(
        context: click.Context,
        /,
        *,
        url: str | None,
        home: Path,
        database_url: str | None,
        tenant: str | None,
        user: str | None,
        project: str | None = None,
        **rest: Any,
    ) -> None:
        if _is_elsewhere(context, url):
            target = Target(Place(home), url, os.environ["RUNCAST_TOKEN"], Named(project=project))
        else:
            target = Target(Place(home, database_url), named=_named(tenant, user, project))
        command(target=target, **rest)

    return url_option(home_option(database_option(_whose_tenant(_whose(with_target)))))


def project_target_options(command: Command) -> Command:
    """`target_options` and ``--project``, as one ``target``."""
    return target_options(_in_project(command))


def _is_elsewhere(context: click.Context, url: str | None) -> bool:
    """True where the server at ``url`` is meant: what was typed goes before what the environment says."""
    typed = {
        name
        for name in ("url", "home", "database_url", "tenant", "user")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if url is None or (typed and "url" not in typed):
        return False
    if typed & {"database_url", "tenant", "user"}:
        raise click.UsageError(
            "--database, --tenant and --user do not go with --url: there, RUNCAST_TOKEN says who asks."
        )
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url is {url!r}; expected http://... or https://...")
    if not os.environ.get("RUNCAST_TOKEN"):
        raise click.UsageError(
            "RUNCAST_TOKEN is not set; expected a token of that server (runcast token prints one)."
        )
    return True


def _named(tenant: str | None, user: str | None, project: str | None) -> Named:
    if tenant is not None and user is None:
        raise click.UsageError(f"--tenant {tenant} needs --user EMAIL (or RUNCAST_USER): for whom of that tenant.")
    return Named(tenant, user, project)
