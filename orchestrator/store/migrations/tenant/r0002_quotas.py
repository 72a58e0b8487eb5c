"""What quotas count: the size of every version of a document and who added it, and whose runs have not ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BYTES = {"sqlite": "length(CAST(text AS BLOB))", "postgresql": "octet_length(text)"}


def upgrade() -> None:
    """Measure what is kept, and add the row that whoever counts holds on to."""
    schema = op.get_context().version_table_schema
    size = sa.Column("size", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("document_versions", size, schema=schema)
    op.add_column("document_versions", sa.Column("added_by", sa.Text), schema=schema)
    op.execute(f'UPDATE "{schema}".document_versions SET size = {BYTES[op.get_context().dialect.name]}')  # noqa: S608
    turns = op.create_table(
        "quota_turns",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("turn", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.bulk_insert(turns, [{"name": "tenant", "turn": 0}])
    unfinished = sa.text("ended_at IS NULL")
    op.create_index(
        "agent_runs_unfinished_of_user",
        "agent_runs",
        ["started_by"],
        schema=schema,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
