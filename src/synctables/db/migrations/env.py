"""Alembic's entry: runs on the connection that `synctables.db.migrate` hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="synctables",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
