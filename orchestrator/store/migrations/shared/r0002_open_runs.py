"""PostgreSQL: the runs of all tenants that have not ended, in one table for all servers to look for work in.

The triggers of the tenants' runs fill it (see the tenants' revision 0003), in the transaction that changes a run. A
home in SQLite has one server, which knows its runs; there, this revision changes nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NOTE_OPEN_RUN = """
CREATE FUNCTION {schema}.note_open_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    slug text = substr(TG_TABLE_SCHEMA, length('tenant_') + 1);
BEGIN
    IF NEW.ended_at IS NOT NULL THEN
        DELETE FROM {schema}.open_runs WHERE tenant = slug AND run_id = NEW.id;
    ELSE
        INSERT INTO {schema}.open_runs (tenant, run_id, created_at, lease_until)
        VALUES (slug, NEW.id, NEW.created_at, NEW.lease_until)
        ON CONFLICT (tenant, run_id) DO UPDATE SET lease_until = excluded.lease_until;
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Create the table and the function that keeps it."""
    if op.get_context().dialect.name != "postgresql":
        return
    schema = op.get_context().version_table_schema
    op.create_table(
        "open_runs",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("lease_until", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "run_id"),
        schema=schema,
    )
    op.create_index("open_runs_by_age", "open_runs", ["created_at"], schema=schema)
    op.execute(NOTE_OPEN_RUN.format(schema=schema))
