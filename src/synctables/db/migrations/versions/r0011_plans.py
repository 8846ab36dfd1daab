"""Plans, and totals for whoever watches the service."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    statements.run("0011_plans.sql")
