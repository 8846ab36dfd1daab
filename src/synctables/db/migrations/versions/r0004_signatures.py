"""What a refresh remembers of the table it left behind."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    statements.run("0004_signatures.sql")
