"""Previews of runs, kept for a day."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0007"
down_revision = "0004"


def upgrade() -> None:
    statements.run("0007_previews.sql")
