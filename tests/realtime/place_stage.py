"""A home in SQLite and one in PostgreSQL, as the environment names them to commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no setting in the environment."""
    for name in list(os.environ):
        if name.startswith("RUNCAST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    """The database that commands use."""
    return str(request.param)


@pytest.fixture
def home(dialect: str, elsewhere: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that commands mean where none is typed, with its data in files or in PostgreSQL; nothing is in it."""
    monkeypatch.setenv("RUNCAST_HOME", "home")
    if dialect == "postgres":
        monkeypatch.setenv("RUNCAST_DATABASE_URL", request.getfixturevalue("postgres_url"))
    return Path("home").absolute()


@pytest.fixture
def spec(elsewhere: None) -> str:
    """A document to work on."""
    Path("spec.md").write_text("# Shop\n\n- REQ-1: A customer MUST be able to pay by invoice within 14 days.\n")
    return "spec.md"
