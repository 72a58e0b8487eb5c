"""What the stores ask of a database, whichever it is, and what holds for all of them.

SQL is written once for every dialect. In its text ``{tenant}`` stands for the tenant's schema, ``public`` is the
shared one, ``{now}`` is the database's clock as RFC 3339 text, ``{by_code_point}`` after a text has it compared as
Python does, ``:name`` is a bound value and ``{names}`` the place of a list that `spread` fills. Nothing else is ever
put into the text.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from orchestrator.errors import InvalidSlugError, ProjectNotFoundError, StoreError

SLUG = re.compile(r"[a-z][a-z0-9_]{0,40}")
"""A tenant's slug: it becomes part of a schema's and a file's name."""

PROJECT_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A project's slug: it is only ever a bound value, so it may also hold hyphens."""

SHARED_SCHEMA = "public"

TENANTS = "SELECT slug FROM public.tenants ORDER BY slug"

LARGEST_INTEGER = 2**63 - 1
"""The largest number that a column holds; asking for what is beyond it is asking for nothing."""

Value: TypeAlias = str | int | None
Row: TypeAlias = Mapping[str, Any]
Result = TypeVar("Result")
Absent = TypeVar("Absent")


class Statement(NamedTuple):
    """SQL and the values of its names."""

    sql: str
    values: Mapping[str, Value]


class TenantNotFoundError(ProjectNotFoundError):
    """There is no such tenant, so it has no projects either."""


class OlderSchemaError(StoreError):
    """The database is of an older release, or empty: ``runcast migrate`` brings it to the tables of this one."""


class NewerSchemaError(StoreError):
    """The database was written by a newer release, and this one cannot know what its tables mean."""


class MissingTenantError(StoreError):
    """A tenant is listed whose data is not there. It was made before the list named it, so it was lost since."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"The data of tenant {tenant!r} is missing; expected it beside the list. Restore a backup.")


class DatabaseInUseError(StoreError):
    """The tables of a database were to be changed while servers use them, or used while they are being changed."""


class Session(Protocol):
    """The statements of one unit of work, inside its transaction and on its schema.

    Values are bound as `orchestrator.events.storable` makes them, so that all databases keep the same.

    Raises:
        StoreError: the database refused a statement; the unit's changes will be taken back.

    """

    async def fetch_one(self, sql: str, /, **values: Value) -> Row | None:
        """The first row, or None."""
        ...

    async def fetch_all(self, sql: str, /, **values: Value) -> Sequence[Row]:
        """All rows, in the order of the statement."""
        ...

    async def execute(self, sql: str, /, **values: Value) -> None:
        """Run a statement whose rows do not matter."""
        ...

    async def execute_all(self, statements: Sequence[Statement], /) -> None:
        """Run statements whose rows do not matter, in order."""
        ...

    async def execute_apart(self, statements: Sequence[Statement], /) -> None:
        """Run statements of which none touches a row that another touches or looks at: in any order, or at once."""
        ...


Work: TypeAlias = Callable[[Session], Awaitable[Result]]
"""One unit of work: it touches nothing but its session and may be the only thing done in its transaction, or not."""


class Databases(Protocol):
    """The tenants' databases and the shared one. A unit of work goes on to its end when its caller is cancelled.

    Raises:
        InvalidSlugError: the tenant's slug is none.
        TenantNotFoundError: there is no such tenant.
        StoreError: the database failed, or it has been closed.

    """

    async def read(self, tenant: str, work: Work[Result]) -> Result:
        """What ``work`` returns; all it reads is one snapshot, and it can write nothing."""
        ...

    async def write(self, tenant: str, work: Work[Result]) -> Result:
        """What ``work`` returns, once its changes are durable. If it raises, it has changed nothing."""
        ...

    async def write_in_turn(self, tenant: str, work: Work[Result]) -> Result:
        """`write` for work that counts what a tenant has, quotas or tokens: for its row a tenant's units queue."""
        ...

    async def read_shared(self, work: Work[Result]) -> Result:
        """`read` on the shared schema."""
        ...

    async def write_shared(self, work: Work[Result]) -> Result:
        """`write` on the shared schema."""
        ...

    async def open_runs(self, *, free: bool) -> tuple[tuple[str, str], ...]:
        """(tenant, run id) of the runs of all tenants that have not ended, oldest first.

        ``free``: only those that nobody claims or whose claim has lapsed, and of many only the oldest.
        """
        ...

    async def create_tenant(self, tenant: str) -> None:
        """Make the place for a tenant's data, with the tables of this release. Idempotent.

        Raises:
            OlderSchemaError: it is there, with the tables of an older release.
            NewerSchemaError: it is there, with the tables of a newer release.

        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of every connection and thread. Idempotent."""
        ...


def check_slug(slug: str, rule: re.Pattern[str] = SLUG) -> str:
    """The slug, unchanged.

    Raises:
        InvalidSlugError: it does not match ``rule``.

    """
    if not rule.fullmatch(slug):
        raise InvalidSlugError(f"{slug[:64]!r} is no slug; expected {rule.pattern}")
    return slug


def tenant_schema(tenant: str) -> str:
    """The name of the tenant's schema, safe between double quotes.

    Raises:
        InvalidSlugError: ``tenant`` is no slug.

    """
    return f"tenant_{check_slug(tenant)}"


def spread(sql: str, name: str, values: Sequence[str]) -> tuple[str, dict[str, Value]]:
    """``sql`` with a bound value for each of ``values`` where ``{name}`` stands, and those values by their names."""
    bound: dict[str, Value] = {f"{name}_{index}": value for index, value in enumerate(values)}
    return sql.replace(f"{{{name}}}", ", ".join(f":{key}" for key in bound)), bound


def bounded(number: int) -> int:
    """The nearest number from 0 on that a column can hold, for limits and cursors that come from outside."""
    return max(0, min(number, LARGEST_INTEGER))


async def read_or(databases: Databases, tenant: str, work: Work[Result], nothing: Absent) -> Result | Absent:
    """What ``work`` reads in the tenant's database, or ``nothing`` where there is no such tenant."""
    try:
        return await databases.read(tenant, work)
    except TenantNotFoundError:
        return nothing


async def write_or(databases: Databases, tenant: str, work: Work[Result], nothing: Absent) -> Result | Absent:
    """What ``work`` writes in the tenant's database, or ``nothing`` where there is no such tenant."""
    try:
        return await databases.write(tenant, work)
    except TenantNotFoundError:
        return nothing


async def now(session: Session) -> str:
    """The time by the database's clock."""
    row = await session.fetch_one("SELECT {now} AS at")
    assert row is not None, "a SELECT without FROM always has a row"  # noqa: S101
    return str(row["at"])


async def days_ago(session: Session, days: float) -> str:
    """The time ``days`` before now, by the database's clock."""
    return later(await now(session), -days * 86_400)


def later(at: str, seconds: float) -> str:
    """The time ``seconds`` (also below zero) after ``at``."""
    moment = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
