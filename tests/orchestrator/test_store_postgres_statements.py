"""SQL that is written once, as PostgreSQL gets it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from orchestrator.store.base import Session, now
from orchestrator.store.postgres import PostgresDatabases
from orchestrator.store.postgres_driver import NOW, render, render_apart

AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_render_numbers_names_by_their_first_place() -> None:
    """A name that stands twice is one value; tenant and time are put where they belong."""
    sql = "UPDATE {tenant}.t SET a = :b, b = {now} WHERE a = :a AND c = :b"
    assert render(sql, "tenant_x") == (
        f'UPDATE "tenant_x".t SET a = $1, b = {NOW} WHERE a = $2 AND c = $1',
        ("b", "a"),
    )


def test_render_leaves_what_only_looks_like_a_name() -> None:
    """Casts, literals and quoted names keep their colons."""
    sql = """SELECT ':a', 'it''s :b', ":c", d::text, ':e' || :f"""
    assert render(sql, "public") == ("""SELECT ':a', 'it''s :b', ":c", d::text, ':e' || $1""", ("f",))


async def test_now_is_the_clock_of_the_server_in_milliseconds(postgres_url: str) -> None:
    """The time is RFC 3339 in UTC with milliseconds, whatever the session's time zone, and goes on within a unit."""

    async def look(session: Session) -> tuple[str, str]:
        await session.execute("SET LOCAL timezone = 'Asia/Kathmandu'")
        first = await now(session)
        await session.execute("SELECT pg_sleep(0.002)")
        return first, await now(session)

    databases = await PostgresDatabases.open(postgres_url)
    first, last = await databases.read_shared(look)
    await databases.close()
    assert AT.fullmatch(first)
    assert first < last
    assert abs(datetime.now(UTC) - datetime.fromisoformat(first)) < timedelta(minutes=1)


def test_statements_apart_become_one_with_values_counted_through() -> None:
    """Each keeps its own values, also where names are the same; equal ones within a statement stay one value."""
    sqls = ("INSERT INTO {tenant}.a VALUES (:id, :id, :n)", "UPDATE {tenant}.b SET n = :n WHERE id = :id")
    text, values = render_apart(sqls, "tenant_x")
    assert text == (
        'WITH part_0 AS (INSERT INTO "tenant_x".a VALUES ($1, $1, $2)), '
        'part_1 AS (UPDATE "tenant_x".b SET n = $3 WHERE id = $4) SELECT 1'
    )
    assert values == ((0, "id"), (0, "n"), (1, "n"), (1, "id"))
