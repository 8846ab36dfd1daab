"""Previews of runs, kept for a day."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    statements.run("0006_previews.sql")
