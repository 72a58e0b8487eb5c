"""What commands do at a place without asking a server, each failure in words for whoever gave the command."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator, Iterator

import msgspec

from realtime.cli.errors import BadUseError, CommandError, InUseError
from realtime.cli.target import Named, Place, Target
from realtime.log import configure_logging
from realtime.ports import DocumentInfo, RefusedError, UsageInfo
from realtime.roles import Action
from realtime.server import ServerError
from realtime.settings import Settings, SettingsError
from realtime.snapshot import RunSnapshot
from realtime.wiring import (
    LOCAL,
    Administration,
    Admission,
    Caller,
    DatabaseInUseError,
    Home,
    HomeLockedError,
    LastOwnerError,
    MigrationReport,
    MissingError,
    NewerSchemaError,
    OlderSchemaError,
    Seat,
    StoreError,
    administer,
    admit,
    cancel_run,
    find_seat,
    migrate,
    mint_token,
    new_sign_in_link,
    open_home,
    printable_url,
    read_usage,
)

_SPEAK_FOR_THEMSELVES = (ServerError, DatabaseInUseError, OlderSchemaError, NewerSchemaError)


@contextlib.contextmanager
def explained(place: Place) -> Iterator[None]:
    """What fails at the place becomes a `CommandError` that a person can do something about."""
    try:
        yield
    except (CommandError, BrokenPipeError):
        raise
    except HomeLockedError as error:
        raise InUseError(str(error)) from None
    except _SPEAK_FOR_THEMSELVES as error:
        raise CommandError(str(error)) from None
    except MissingError as error:
        raise CommandError(_with_remedy(error, place)) from None
    except LastOwnerError as error:
        raise CommandError(f"{error}; make somebody else one first, or insist with --force") from None
    except SettingsError as error:
        raise BadUseError(str(error)) from None
    except Exception as error:  # the files of a home can be spoilt in more ways than there are types of errors
        what = f"The home {place.home}"
        if place.database_url is not None and isinstance(error, StoreError):
            what = "The database"
        raise CommandError(f"{what} cannot be used: {' '.join(str(error).split())}") from error


def _with_remedy(error: MissingError, place: Place) -> str:
    if not error.remedy:
        return str(error)
    return f"{error}; mend it with: runcast {shlex.join(error.remedy)} {place.options}"


def read_settings(place: Place, **flags: object) -> Settings:
    """The settings of a server of that place: ``flags`` that are not None, else the environment.

    Raises:
        BadUseError: one of them cannot be read or used.

    """
    try:
        settings = Settings.from_environment(home=place.home, **flags)
    except SettingsError as error:
        raise BadUseError(str(error)) from None
    return msgspec.structs.replace(settings, database_url=place.database_url)


def describe(place: Place) -> str:
    """The place for people, without passwords."""
    return str(place.home) if place.database_url is None else printable_url(place.database_url)


def check_home(place: Place, advice: str) -> None:
    """Return where something was kept before; a database answers for itself.

    Raises:
        CommandError: there is no such home; the text goes on with ``advice``.

    """
    if place.database_url is None and not (place.home / "shared.db").exists():
        raise CommandError(f"There is no home {place.home}; {advice}")


async def make_token(place: Place, named: Named, ttl_s: int | None) -> str:
    """A token of whoever is named for ``ttl_s`` seconds, whoever serves the place."""
    settings = read_settings(place)
    with explained(place):
        return await mint_token(settings, _caller(named), ttl_s)


async def make_link(place: Place, named: Named, url: str) -> str:
    """A one-time sign-in link to the server at ``url``, which serves the place."""
    settings = read_settings(place)
    with explained(place):
        return await new_sign_in_link(settings, _caller(named), url)


async def admitted(target: Target, action: Action, run_id: str | None = None) -> Admission:
    """A token with which whoever is named may do ``action`` in their project, or in that of the run.

    Raises:
        CommandError: they may not, or the place cannot be used.

    """
    settings = read_settings(target.place)
    if target.named != Named():
        check_home(target.place, "so nobody can be named in it; name another with --home")
    with explained(target.place):
        return await admit(settings, _caller(target.named), action, run_id)


async def cancelled(target: Target, run_id: str) -> RunSnapshot:
    """The run, ended without a server; unfinished runs of the place stay as they are.

    Raises:
        CommandError: there is no such run, whoever is named may not cancel it, or the place cannot be used.

    """
    settings = read_settings(target.place)
    configure_logging("warning", settings.log_format)
    with explained(target.place):
        run = await cancel_run(settings, _caller(target.named), run_id)
    if run is None:
        raise CommandError("There is no such run.")
    return run


async def usage_of(target: Target) -> UsageInfo:
    """What the tenant of whoever is named has spent, read without a server.

    Raises:
        CommandError: there is nobody of that name, or the place cannot be used.

    """
    settings = read_settings(target.place)
    with explained(target.place):
        return await read_usage(settings, _caller(target.named))


def _caller(named: Named) -> Caller:
    if named == Named():
        return LOCAL
    return Caller(named.tenant or LOCAL.tenant, named.user or LOCAL.email, named.project)


class OpenProject:
    """A project in a home that this process has open, without a server."""

    def __init__(self, home: Home, seat: Seat) -> None:
        self._home = home
        self._seat = seat

    async def upload(self, path: str, content: bytes) -> DocumentInfo:
        """Keep a document.

        Raises:
            CommandError: it cannot be kept; the message says why.

        """
        try:
            return await self._home.import_document(path, content, self._seat)
        except RefusedError as refused:
            raise CommandError(refused.message) from None


@contextlib.asynccontextmanager
async def opened(target: Target) -> AsyncIterator[OpenProject]:
    """The project that is meant, for importing without a server.

    Raises:
        CommandError: whoever is named may not import, or the place cannot be used.

    """
    settings = read_settings(target.place)
    with explained(target.place):
        async with open_home(settings) as home:
            yield OpenProject(home, await find_seat(home.store, _caller(target.named), Action.WRITE_DOCUMENTS))


@contextlib.asynccontextmanager
async def administered(place: Place) -> AsyncIterator[Administration]:
    """The administration of the place.

    Raises:
        CommandError: what is asked of it cannot be done, or the place cannot be used.

    """
    settings = read_settings(place)
    with explained(place):
        async with administer(settings) as administration:
            yield administration


async def migrated(place: Place) -> MigrationReport:
    """What it took to bring the store to the tables of this release.

    Raises:
        CommandError: a server has the home, a newer release has written there, or the place cannot be used.

    """
    settings = read_settings(place)
    with explained(place):
        return await migrate(settings)
