"""The first tables of a tenant: projects, documents, runs with their logs, artifacts and acks.

Times are RFC 3339 text of one width, which sorts as the times do.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    schema = op.get_context().version_table_schema
    assert schema is not None, "every tenant has a schema"  # noqa: S101
    _create_projects_and_documents(schema)
    _create_runs(schema)
    _create_logs(schema)


def _create_projects_and_documents(schema: str) -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey(f"{schema}.projects.id"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.UniqueConstraint("project_id", "path"),
        schema=schema,
    )
    op.create_table(
        "document_versions",
        sa.Column(
            "document_id", sa.Text, sa.ForeignKey(f"{schema}.documents.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("document_id", "version"),
        schema=schema,
    )


def _create_runs(schema: str) -> None:
    op.create_table(
        "agent_runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey(f"{schema}.projects.id"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("pipeline_mode", sa.Text, nullable=False),
        sa.Column("agents_selected", sa.Text, nullable=False),
        sa.Column("last_event_id", sa.BigInteger, nullable=False),
        sa.Column("total_tokens", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("claim_token", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        schema=schema,
    )
    op.create_index("agent_runs_by_age", "agent_runs", ["project_id", "created_at", "id"], schema=schema)
    unfinished = sa.text("ended_at IS NULL")
    op.create_index(
        "agent_runs_unfinished",
        "agent_runs",
        ["created_at"],
        schema=schema,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "agent_run_steps",
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{schema}.agent_runs.id"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("agent_type", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress_pct", sa.Integer, nullable=False, server_default="0"),
        sa.Column("progress_label", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tokens_used", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("artifact_id", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("started_at", sa.Text),
        sa.Column("completed_at", sa.Text),
        sa.PrimaryKeyConstraint("run_id", "id"),
        schema=schema,
    )


def _create_logs(schema: str) -> None:
    op.create_table(
        "agent_run_events",
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{schema}.agent_runs.id"), nullable=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "id"),
        schema=schema,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{schema}.agent_runs.id"), nullable=False),
        sa.Column("step_id", sa.Text, nullable=False),
        sa.Column("agent_type", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("artifact_type", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_index("artifacts_of_run", "artifacts", ["run_id"], schema=schema)
    op.create_table(
        "acks",
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{schema}.agent_runs.id"), nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "user_id", "client_id"),
        schema=schema,
        sqlite_with_rowid=False,
    )
