"""What the triggers on users' tables do."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    statements.run("0005_hand_edits.sql")
