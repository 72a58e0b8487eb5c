"""What Alembic runs: the revisions, on the connection and schema that `upgrade` was given.

It configures no logging and opens no connection. The transaction is the caller's; DDL has its place in it, in SQLite,
too.
"""

from alembic import context

from orchestrator.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    version_table_schema=context.config.attributes["schema"],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
