"""Which schemas a PostgreSQL database has, and whether their tables are those of this release."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.store.base import SHARED_SCHEMA, TENANTS, MissingTenantError, Session, spread, tenant_schema
from orchestrator.store.migrations import VERSION_TABLE, Family, check_current

SCHEMAS_PER_QUERY = 200

VERSIONED = f"""
    SELECT n.nspname AS schema FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = '{VERSION_TABLE}' AND n.nspname IN ({{schemas}})
"""  # noqa: S608  # a constant


async def read_revision(session: Session, schema: str) -> str | None:
    """The revision that ``schema`` is at; None: it has no tables."""
    return (await _read_revisions(session, [schema]))[schema]


async def check_schemas(session: Session) -> Sequence[str]:
    """The schemas of all tenants, after checking that they and the shared one have the tables of this release.

    Takes a few statements, however many tenants there are.

    Raises:
        OlderSchemaError: one is behind, or the shared one has no tables.
        MissingTenantError: a tenant's has none.
        NewerSchemaError: a newer release has written one.

    """
    check_current(Family.SHARED, SHARED_SCHEMA, await read_revision(session, SHARED_SCHEMA))
    tenants = [tenant_schema(row["slug"]) for row in await session.fetch_all(TENANTS)]
    for start in range(0, len(tenants), SCHEMAS_PER_QUERY):
        revisions = await _read_revisions(session, tenants[start : start + SCHEMAS_PER_QUERY])
        for schema, revision in revisions.items():
            if revision is None:
                raise MissingTenantError(schema.removeprefix("tenant_"))
            check_current(Family.TENANT, schema, revision)
    return tenants


async def _read_revisions(session: Session, schemas: Sequence[str]) -> dict[str, str | None]:
    sql, names = spread(VERSIONED, "schemas", schemas)
    versioned = [row["schema"] for row in await session.fetch_all(sql, **names)]
    revisions: dict[str, str | None] = dict.fromkeys(schemas)
    if versioned:
        each = (f"SELECT '{it}' AS schema, version_num AS revision FROM \"{it}\".{VERSION_TABLE}" for it in versioned)  # noqa: S608
        rows = await session.fetch_all(" UNION ALL ".join(each))
        revisions |= {row["schema"]: row["revision"] for row in rows}
    return revisions
