"""The tables of the store, as revisions: those of the shared schema and those of each tenant's.

Both families know their revision by a table of their own in their schema. Revisions only go up; the way back is a
backup. A revision is a file ``r<number>_<name>.py`` whose revision id is that number.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from orchestrator.store.base import NewerSchemaError

HERE = Path(__file__).parent
VERSION_TABLE = "alembic_version"


class Family(StrEnum):
    """Which revisions a schema follows; also the name of their directory."""

    SHARED = "shared"
    TENANT = "tenant"


def known_revisions(family: Family) -> tuple[str, ...]:
    """The revision ids that this release knows, oldest first."""
    return tuple(sorted(file.stem[1:5] for file in (HERE / family).glob("r[0-9]*.py")))


def is_current(family: Family, revision: str | None) -> bool:
    """True where a schema at ``revision`` (None: it has no tables) is that of this release.

    Raises:
        NewerSchemaError: this release does not know the revision.

    """
    known = known_revisions(family)
    if revision is not None and revision not in known:
        raise NewerSchemaError(
            f"The {family} tables are at revision {revision!r}, which a newer release has written; "
            f"this one knows {known[0]} to {known[-1]}. Use that release, or restore a backup."
        )
    return revision == known[-1]
