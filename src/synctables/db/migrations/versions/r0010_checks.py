"""Batches of due syncs that are asked whether they changed, and runs that wait for their turn."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    statements.run("0010_checks.sql")
