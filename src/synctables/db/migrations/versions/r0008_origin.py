"""Knowing a restored dump."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    statements.run("0008_origin.sql")
