"""What a command is about: where things are kept, which server is meant, and for whom."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A home, and the PostgreSQL database that takes the place of its files, if there is one."""

    home: Path
    database_url: str | None = None

    @property
    def options(self) -> str:
        """How to mean the same place again; a URL, which may hold a password, stands there as its variable."""
        home = shlex.join(["--home", str(self.home)])
        return home if self.database_url is None else f'{home} --database "$RUNCAST_DATABASE_URL"'


class Named(NamedTuple):
    """For whom and in which project a command acts, as far as that was said."""

    tenant: str | None = None
    user: str | None = None
    project: str | None = None


class Target(NamedTuple):
    """The server at ``url`` for the holder of ``token``, else that of ``place`` for whoever is named."""

    place: Place
    url: str | None = None
    token: str | None = None
    named: Named = Named()

    @property
    def options(self) -> str:
        """How to mean the same server and user again."""
        if self.url is not None:
            return shlex.join(["--url", self.url])
        given = {"--tenant": self.named.tenant, "--user": self.named.user}
        return " ".join([self.place.options, *(shlex.join([key, it]) for key, it in given.items() if it is not None)])
