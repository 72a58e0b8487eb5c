"""A process to be killed: migrates a store with other revisions. Arguments: dialect, place, their directory."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.store import migrations
from orchestrator.store.postgres_migrations import migrate_database
from orchestrator.store.sqlite_schema import migrate_home

if __name__ == "__main__":
    dialect, place, directory = sys.argv[1:]
    migrations.HERE = Path(directory)
    if dialect == "postgres":
        migrate_database(place)
    else:
        migrate_home(Path(place))
