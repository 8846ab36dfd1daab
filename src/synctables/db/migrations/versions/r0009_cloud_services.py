"""Files in cloud drives."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    statements.run("0009_cloud_services.sql")
