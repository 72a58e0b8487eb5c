"""The tables of the store, as revisions: those of the shared schema and those of each tenant's.

Both families know their revision by a table of their own in their schema. Revisions only go up; the way back is a
backup. A revision is a file ``r<number>_<name>.py`` whose revision id is that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from orchestrator.errors import StoreError
from orchestrator.store.base import NewerSchemaError, OlderSchemaError

HERE = Path(__file__).parent
VERSION_TABLE = "alembic_version"


class Family(StrEnum):
    """Which revisions a schema follows; also the name of their directory."""

    SHARED = "shared"
    TENANT = "tenant"


class SchemaMigration(msgspec.Struct, frozen=True):
    """A schema, the revision it was at (None: it had no tables) and the one it is at now, which may be the same."""

    schema: str
    from_revision: str | None
    to_revision: str


class MigrationReport(msgspec.Struct, frozen=True):
    """What was done to each schema, in that order: the shared one first, then the tenants' by name."""

    schemas: tuple[SchemaMigration, ...]


def with_what_was_done(error: StoreError, done: Sequence[SchemaMigration]) -> StoreError:
    """``error``, which ended a migration, as one of its kind whose text says how far that had come."""
    if not done:
        return error
    told = StoreError.__new__(type(error))
    told.args = (f"{error} Done before that, and kept: {len(done)} schemas up to {done[-1].schema}.",)
    return told


def known_revisions(family: Family) -> tuple[str, ...]:
    """The revision ids that this release knows, oldest first."""
    return tuple(sorted(file.stem[1:5] for file in (HERE / family).glob("r[0-9]*.py")))


def check_known(family: Family, schema: str, revision: str | None) -> str:
    """The newest revision, after checking that this release can bring a schema to it; None: it has no tables yet.

    Raises:
        NewerSchemaError: a newer release has written it.

    """
    known = known_revisions(family)
    if revision is not None and revision not in known:
        raise NewerSchemaError(
            f"The tables of {schema} are at revision {revision!r}, which a newer release has written; "
            f"this one knows {known[0]} to {known[-1]}. Use that release, or restore a backup."
        )
    return known[-1]


def check_current(family: Family, schema: str, revision: str | None) -> None:
    """Check that a schema at ``revision`` has the tables of this release.

    Raises:
        NewerSchemaError: a newer release has written it.
        OlderSchemaError: it is behind, or has no tables.

    """
    newest = check_known(family, schema, revision)
    if revision is None:
        raise OlderSchemaError(
            f"The schema {schema} has no Runcast tables yet; expected those of revision {newest!r}. "
            "Run `runcast migrate` to make them."
        )
    if revision != newest:
        raise OlderSchemaError(
            f"The tables of {schema} are at revision {revision!r}; expected {newest!r}. "
            "Run `runcast migrate` to bring them up to date."
        )
