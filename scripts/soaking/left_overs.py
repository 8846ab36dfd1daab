"""What dead workers must not leave behind; the soak and the fault tests look for the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psycopg

from synctables.importer.orphaned_children import find_orphaned_children
from synctables.importer.workspace_owners import WORKSPACES, find_orphaned_workspaces

_LEFT_OVER = {
    "runs without an end": "SELECT count(*) FROM synctables.runs WHERE finished_at IS NULL",
    "syncs queued or syncing": "SELECT count(*) FROM synctables.syncs"
    " WHERE state NOT IN ('success', 'failure')",
    "tables in the work schema": "SELECT count(*) FROM pg_tables"
    " WHERE schemaname = 'synctables_work'",
    "jobs being done": "SELECT count(*) FROM synctables.procrastinate_jobs"
    " WHERE status = 'doing' AND queue_name = 'runs'",
    "sessions idle in a transaction": "SELECT count(*) FROM pg_stat_activity"
    " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    " AND xact_start < now() - interval '60 s'",
}


def find_left_overs(connection: psycopg.Connection, data_dirs: Iterable[Path]) -> list[str]:
    """Each in words, once everything has settled; none is as it should be."""
    found = []
    for what, statement in _LEFT_OVER.items():
        row = connection.execute(statement.encode()).fetchone()
        if row is not None and row[0]:
            found.append(f"{row[0]} {what}")
    for data_dir in data_dirs:
        root = data_dir.resolve() / WORKSPACES
        folders, children = find_orphaned_workspaces(root), find_orphaned_children(root)
        found += [f"workspace {folder.name} of a dead worker" for folder in folders]
        found += [f"child {process.pid} of a dead worker" for process in children]
    return found
