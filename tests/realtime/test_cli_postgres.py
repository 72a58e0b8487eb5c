"""The command ``runcast`` over PostgreSQL: set-up, servers that share it, and a password that is never shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from cli_stage import RUNCAST, finish, read_until, refused, runcast, spawn, told, url_of
from live import live_server
from place_stage import elsewhere, spec
from postgres_server import PostgresServer

__all__ = ["elsewhere", "spec"]

pytestmark = pytest.mark.usefixtures("elsewhere")

SECRET = "hunter2-of-nobody"


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """A database without any tables."""
    with postgres.empty_database() as url:
        yield url


def password_of(url: str) -> str:
    """What no output may have."""
    return str(urlsplit(url).password)


def test_migrate_token_and_run_are_all_that_an_empty_database_needs(empty_url: str, spec: str) -> None:
    """The tables are made by hand, the local tenant by the first command that means it; the run then succeeds."""
    lines = told("migrate", "--database", empty_url).splitlines()
    assert [re.fullmatch(r"public: empty -> \d{4}", line) is not None for line in lines] == [True]
    assert told("migrate", "--database", empty_url) == "up to date\n"
    assert told("admin", "tenant", "list", "--database", empty_url) == ""
    assert told("token", "--database", empty_url).count(".") == 2
    code, out, err = finish(spawn("run", "--database", empty_url, "--agents", "ba_consultant", spec))
    assert code == 0, err
    assert out.splitlines()[-1].endswith(" complete - 100% all done")
    assert err.splitlines()[-1] == ('To look at it: runcast serve --home .runcast --database "$RUNCAST_DATABASE_URL"')
    assert password_of(empty_url) not in out + err
    assert told("admin", "tenant", "list", "--database", empty_url) == "demo\n"
    assert not Path(".runcast/shared.db").exists()


@pytest.mark.parametrize(
    "command", [["serve", "--port", "0"], ["token"], ["import", "spec.md"], ["run"], ["admin", "tenant", "list"]]
)
def test_database_without_tables_is_refused_with_what_to_do(empty_url: str, spec: str, command: list[str]) -> None:
    """No command but migrate makes tables; each says in one line which command does."""
    line = refused(*command, RUNCAST_DATABASE_URL=empty_url)
    assert "Run `runcast migrate` to make them." in line
    assert password_of(empty_url) not in line


def test_serve_makes_nobody_and_says_how_to_sign_in(postgres_url: str) -> None:
    """A fresh database stays without tenants until a command asks for one; the command that is printed does."""
    process = spawn("serve", "--port", "0", RUNCAST_DATABASE_URL=postgres_url)
    try:
        serving = read_until(process, "^Serving")
        hint = read_until(process, "^To sign in: ").partition(": ")[2].strip()
        assert told("admin", "tenant", "list", RUNCAST_DATABASE_URL=postgres_url) == ""
        assert hint == 'runcast token --link --home .runcast --database "$RUNCAST_DATABASE_URL"'
        link = told("token", "--link", "--home", ".runcast", "--database", postgres_url).strip()
        assert httpx2.get(link).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert code == 0, err
    assert f":***@127.0.0.1:{urlsplit(postgres_url).port}/" in serving
    assert password_of(postgres_url) not in serving + hint + out + err


def test_database_is_served_by_several_homes_and_not_migrated_meanwhile(postgres_url: str, spec: str) -> None:
    """Servers and runs of other homes work beside one that serves; only the tables have to wait for all of them."""
    shared = {"RUNCAST_DATABASE_URL": postgres_url}
    servers = [spawn("serve", "--port", "0", "--home", home, **shared) for home in ("one", "two")]
    try:
        for process in servers:
            read_until(process, "^Serving")
        told("import", spec, "--home", "three", **shared)
        code, out, err = finish(spawn("run", "--home", "three", "--agents", "ba_consultant", **shared))
        assert (code, out.splitlines()[-1].endswith(" complete - 100% all done")) == (0, True), err
        line = refused("migrate", **shared)
        assert "A server uses the database at " in line
        assert "Stop every server first" in line
        assert password_of(postgres_url) not in line + err
    finally:
        for process in servers:
            process.send_signal(signal.SIGTERM)
        ends = [finish(process) for process in servers]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert told("migrate", **shared) == "up to date\n"


def test_server_of_the_home_with_other_data_is_not_taken_for_the_one_meant(postgres_url: str, spec: str) -> None:
    """A command never signs for one database and talks to the server of another."""
    process = spawn("serve", "--port", "0", RUNCAST_DATABASE_URL=postgres_url)
    try:
        read_until(process, "^Serving")
        line = refused("import", spec)
        assert "serves postgresql://postgres:***@" in line
        assert "the command means its files" in line
        assert told("import", spec, "--database", postgres_url).startswith("imported spec.md")
    finally:
        process.send_signal(signal.SIGTERM)
        code, _, err = finish(process)
    assert code == 0, err


def test_machines_with_one_secret_honour_each_others_tokens(postgres_url: str) -> None:
    """A token that is made in another home is valid at the server where both have the secret from the environment."""
    shared = {"RUNCAST_DATABASE_URL": postgres_url, "RUNCAST_SECRET": "one secret for all, of 32 bytes or more"}
    process = spawn("serve", "--port", "0", "--home", "one", **shared)
    try:
        read_until(process, "^Serving")
        token = told("token", "--home", "two", **shared).strip()
        answer = httpx2.get(f"{url_of(Path('one'))}/api/v1/projects", headers={"Authorization": f"Bearer {token}"})
    finally:
        process.send_signal(signal.SIGTERM)
        finish(process)
    assert [it["slug"] for it in answer.json()["projects"]] == ["demo"]


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@127.0.0.1/db",
        f"me:{SECRET}@127.0.0.1/db",
        f"postgresql://me:{SECRET}@127.0.0.1:port/db",
        f"postgresql://me:{SECRET}@127.0.0.1:70000/db",
        f"postgresql://me:half/{SECRET}@127.0.0.1:5432/db",
        f"postgresql://me:{SECRET}@[::1/db",
        f"postgresql://me:{SECRET} @127.0.0.1/db",
        f"postgresql:{SECRET}",
        SECRET,
        "",
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["run"], ["admin", "tenant", "list"]])
def test_database_url_that_is_none_is_bad_use_and_not_shown(command: list[str], url: str) -> None:
    """It may hold a password wherever it is wrong, so that the message says what was expected alone."""
    result = runcast(*command, "--database", url)
    assert result.exit_code == 2
    assert "expected postgresql://user:password@host:port/name" in " ".join(result.stderr.split())
    assert SECRET not in result.output
    assert not any(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "command", [["serve", "--port", "0"], ["migrate"], ["token"], ["run"], ["admin", "tenant", "add", "acme"]]
)
def test_password_of_a_database_out_of_reach_is_not_shown(postgres: PostgresServer, command: list[str]) -> None:
    """Neither a server that is not there nor one that refuses makes a command tell the password."""
    port = urlsplit(postgres.url).port
    for address in ("127.0.0.1:1", f"127.0.0.1:{port}"):
        line = refused(*command, RUNCAST_DATABASE_URL=f"postgresql://nobody:{SECRET}@{address}/nothing")
        assert line.startswith("Error: The database cannot be used: PostgreSQL, ")
        assert SECRET not in line


def test_help_does_not_show_the_database_of_the_environment(postgres_url: str) -> None:
    """Its variable is named, not its value."""
    text = told("serve", "--help", RUNCAST_DATABASE_URL=postgres_url)
    assert "RUNCAST_DATABASE_URL" in text
    assert password_of(postgres_url) not in text


def test_demo_leaves_the_database_of_the_environment_alone(postgres_url: str, spec: str, tmp_path: Path) -> None:
    """The demo is a fresh home in files, whatever the environment says."""
    demo = ("demo", "--once", "--port", "0", "--pace", "0", spec)
    code, _, err = finish(spawn(*demo, RUNCAST_DATABASE_URL=postgres_url, TMPDIR=str(tmp_path)))
    assert code == 0, err
    assert told("admin", "tenant", "list", RUNCAST_DATABASE_URL=postgres_url) == ""


async def test_live_server_over_postgres_has_the_local_project(postgres_url: str, tmp_path: Path) -> None:
    """What most tests stand on works on either database: a local user, a project and a document in it."""
    async with live_server(tmp_path / "home", database_url=postgres_url) as server:
        projects = (await server.http.get("/api/v1/projects")).json()["projects"]
        assert [(it["id"], it["role"]) for it in projects] == [(server.home.project_id, "owner")]
        assert len((await server.http.get(f"{server.project}/documents")).json()["documents"]) == 1


def test_interrupted_run_names_the_variable_in_place_of_the_url(postgres_url: str, spec: str) -> None:
    """The command with which to watch on can be pasted where the variable is set, and tells nothing."""
    process = spawn("run", "--database", postgres_url, "--agents", "ba_consultant", spec, RUNCAST_PACE_S="60")
    try:
        read_until(process, "running")
    finally:
        process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, err
    assert password_of(postgres_url) not in out + err
    command = re.search(r"^.* To watch it: (runcast watch .*)$", err, re.MULTILINE)
    assert command is not None, err
    pasted = subprocess.run(
        ["sh", "-c", command[1].replace("runcast", *RUNCAST)],
        env={**os.environ, "RUNCAST_DATABASE_URL": postgres_url},
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert pasted.returncode == 0, pasted.stderr
    assert pasted.stdout.splitlines()[-1].endswith("complete - 100% all done")
