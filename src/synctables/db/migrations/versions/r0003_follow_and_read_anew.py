"""The layer that is followed, and options that ask for the same version again."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    statements.run("0003_follow_and_read_anew.sql")
