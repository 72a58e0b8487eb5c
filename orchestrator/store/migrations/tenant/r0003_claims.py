"""Runs that survive: claims that lapse, where runs come from and who ended them, what steps wait for, and tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEEP_OPEN_RUNS = """
CREATE TRIGGER note_open_run AFTER INSERT OR UPDATE OF lease_until, ended_at ON "{schema}".agent_runs
FOR EACH ROW EXECUTE FUNCTION public.note_open_run()
"""

FILL_OPEN_RUNS = """
INSERT INTO public.open_runs (tenant, run_id, created_at)
SELECT '{tenant}', id, created_at FROM "{schema}".agent_runs WHERE ended_at IS NULL
"""


def upgrade() -> None:
    """Add the columns and tables; unfinished runs are free to be claimed."""
    schema = op.get_context().version_table_schema
    assert schema is not None, "every tenant has a schema"  # noqa: S101
    for column in (
        sa.Column("lease_until", sa.Text),
        sa.Column("heartbeat_at", sa.Text),
        sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_of", sa.Text),
        sa.Column("cancelled_by", sa.Text),
        sa.Column("use_cache", sa.Integer, nullable=False, server_default="1"),
    ):
        op.add_column("agent_runs", column, schema=schema)
    for column in (
        sa.Column("progress_at", sa.Text),
        sa.Column("retry_at", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("stalled", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cached", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reused", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("agent_run_steps", column, schema=schema)
    _create_tokens(schema)
    _create_answers(schema)
    if op.get_context().dialect.name == "postgresql":
        op.execute(KEEP_OPEN_RUNS.format(schema=schema))
        op.execute(FILL_OPEN_RUNS.format(schema=schema, tenant=schema.removeprefix("tenant_")))


def _create_tokens(schema: str) -> None:
    """What was spent in each month (UTC, as 2026-11), and what calls under way have put aside of it."""
    op.create_table(
        "token_months",
        sa.Column("month", sa.Text, primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.create_table(
        "token_reservations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{schema}.agent_runs.id"), nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        schema=schema,
    )


def _create_answers(schema: str) -> None:
    """What agents handed in, by the hash of all that it came from."""
    op.create_table(
        "answers",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("artifact_type", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_index("answers_by_age", "answers", ["created_at"], schema=schema)
