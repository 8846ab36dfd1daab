"""An upgrade while others work: one process migrates, and workers of the last version go on."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from alembic.script import ScriptDirectory

from synctables.db import migrations
from synctables.db.migrate import migrate, migrate_to
from tests.support.serve_process import environment

COLUMNS = """
SELECT class.relname::text || '.' || attname, format_type(atttypid, atttypmod), attnotnull
FROM pg_attribute JOIN pg_class AS class ON class.oid = attrelid
WHERE relnamespace = 'synctables'::regnamespace AND relkind = 'r'
  AND attnum > 0 AND NOT attisdropped AND relname NOT LIKE 'procrastinate%'
"""
MUST_BE_GIVEN = """
SELECT table_name || '.' || column_name FROM information_schema.columns
WHERE table_schema = 'synctables' AND is_nullable = 'NO' AND column_default IS NULL
  AND is_identity = 'NO' AND is_generated = 'NEVER'
"""
CHECKS = """
SELECT conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'synctables'::regnamespace AND contype = 'c'
"""


@pytest.fixture
def unmigrated_url(database_url: str) -> str:
    """A database with PostGIS and nothing else."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP SCHEMA synctables CASCADE")
    return database_url


def rows(url: str, query: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url, options="-c search_path=synctables,public") as connection:
        return set(connection.execute(query.encode()).fetchall())


def test_the_last_migration_takes_nothing_from_workers_of_the_version_before(
    unmigrated_url: str,
) -> None:
    """They go on with the statements they know: every column is there, and none is demanded."""
    head = ScriptDirectory(migrations.__path__[0]).get_revision("head")
    migrate_to(unmigrated_url, str(head.down_revision))
    before = {name: (type_, demanded) for name, type_, demanded in rows(unmigrated_url, COLUMNS)}
    tables = {str(name).partition(".")[0] for name in before}
    rules = rows(unmigrated_url, CHECKS)

    migrate(unmigrated_url)

    after = {name: (type_, demanded) for name, type_, demanded in rows(unmigrated_url, COLUMNS)}
    assert {name: after[name][0] for name in before} == {
        name: type_ for name, (type_, _) in before.items()
    }
    assert [name for name in before if after[name][1] and not before[name][1]] == []
    demanded = {str(name) for (name,) in rows(unmigrated_url, MUST_BE_GIVEN)}
    new = {name for name in demanded if name.partition(".")[0] in tables and name not in before}
    assert new == set()
    assert {
        rule
        for rule in rows(unmigrated_url, CHECKS)
        if rule not in rules and str(rule[0]).partition(" ")[0] in tables
    } == set()


def test_processes_that_migrate_at_once_wait_for_each_other(
    unmigrated_url: str, session_database_url: str
) -> None:
    program = "import sys; from synctables.db.migrate import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-c", program, unmigrated_url]
    started = [subprocess.Popen(command, env=environment()) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert rows(unmigrated_url, COLUMNS) == rows(session_database_url, COLUMNS)
