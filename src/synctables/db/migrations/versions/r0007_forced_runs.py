"""Runs know whether somebody asked for them."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    statements.run("0007_forced_runs.sql")
