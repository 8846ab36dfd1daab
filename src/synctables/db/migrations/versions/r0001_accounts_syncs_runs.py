"""Accounts, tables, syncs, runs, fences, uploads and logs."""

from __future__ import annotations

from synctables.db.migrations import statements

revision = "0001"
down_revision = None


def upgrade() -> None:
    statements.run("0001_accounts_syncs_runs.sql")
