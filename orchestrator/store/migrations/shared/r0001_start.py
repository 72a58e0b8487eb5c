"""The first tables that all tenants share: who there is, and what they may do where."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create tenants, users, memberships and one-time codes."""
    schema = op.get_context().version_table_schema
    op.create_table(
        "tenants",
        sa.Column("slug", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, sa.ForeignKey(f"{schema}.tenants.slug"), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.UniqueConstraint("tenant", "email"),
        schema=schema,
    )
    op.create_table(
        "memberships",
        sa.Column("tenant", sa.Text, sa.ForeignKey(f"{schema}.tenants.slug"), nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, sa.ForeignKey(f"{schema}.users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "project_id"),
        schema=schema,
    )
    op.create_table(
        "one_time_codes",
        sa.Column("code_hash", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey(f"{schema}.users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        schema=schema,
    )
