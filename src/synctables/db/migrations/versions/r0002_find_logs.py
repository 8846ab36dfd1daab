"""Indexes that find a log's sync and runs."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    statements.run("0002_find_logs.sql")
