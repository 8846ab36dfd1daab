"""Bringing a database up to this version."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from synctables.db.migrate import migrate
from synctables.db.pool import connect
from synctables.errors import ConfigurationError
from synctables.localpg import LocalCluster

SHAPE = """
    SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'synctables'::regnamespace AND attnum > 0 AND NOT attisdropped
      AND relkind = 'r'
    UNION ALL
    SELECT p.oid::regprocedure::text FROM pg_proc p
    WHERE pronamespace = 'synctables'::regnamespace
    ORDER BY 1
"""
"""Every column with its type, and every function, of our schema."""


@pytest.fixture
def unmigrated_url(database_url: str) -> str:
    """A database with PostGIS and nothing else."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP SCHEMA synctables CASCADE")
    return database_url


@contextmanager
def bare_database(cluster: LocalCluster) -> Iterator[str]:
    """A database without PostGIS, as the owner who may not create it; ends with the block."""
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE bare TEMPLATE template0 OWNER synctables")
        try:
            yield cluster.database_url.replace("/synctables?", "/bare?")
        finally:
            superuser.execute("DROP DATABASE bare WITH (FORCE)")


def shape(database_url: str) -> list[object]:
    with psycopg.connect(database_url) as connection:
        return [name for (name,) in connection.execute(SHAPE.encode())]


async def test_everything_lives_in_the_schema_synctables(
    connection: AsyncConnection[DictRow],
) -> None:
    cursor = await connection.execute(
        "SELECT table_schema, count(*) AS count FROM information_schema.tables"
        " WHERE table_name = ANY(%s) GROUP BY 1",
        [["syncs", "runs", "alembic_version", "procrastinate_jobs", "queue_migrations"]],
    )
    assert await cursor.fetchall() == [{"table_schema": "synctables", "count": 5}]


def test_a_second_migration_changes_nothing(database_url: str) -> None:
    before = shape(database_url)
    migrate(database_url)
    assert shape(database_url) == before


def test_two_processes_may_migrate_at_once(unmigrated_url: str, session_database_url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(migrate, [unmigrated_url] * 3))
    assert shape(unmigrated_url) == shape(session_database_url)


def test_an_older_queue_is_brought_up_by_its_numbered_files(
    unmigrated_url: str, session_database_url: str
) -> None:
    first, *rest = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    with psycopg.connect(unmigrated_url) as connection:
        connection.execute("CREATE SCHEMA synctables")
        connection.execute("SET search_path = synctables, public")
        connection.execute(first.read_text("utf-8").encode())
        connection.execute(
            "CREATE TABLE queue_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute("INSERT INTO queue_migrations (name) VALUES (%s)", [first.name])
    migrate(unmigrated_url)
    expected = set(shape(session_database_url))
    assert expected <= set(shape(unmigrated_url))  # old functions may stay for old workers
    with psycopg.connect(unmigrated_url) as connection:
        row = connection.execute("SELECT count(*) FROM synctables.queue_migrations").fetchone()
        assert row == (1 + len(rest),)


def test_a_failed_migration_leaves_the_database_as_it_was(unmigrated_url: str) -> None:
    with psycopg.connect(unmigrated_url) as connection:
        connection.execute("CREATE SCHEMA synctables")
        connection.execute(
            "CREATE TABLE synctables.log_entries (in_the_way int)"
        )  # the last of 0001
    with pytest.raises(Exception, match="already exists"):
        migrate(unmigrated_url)
    assert shape(unmigrated_url) == ["log_entries.in_the_way integer"]


def test_without_postgis_the_administrators_line_is_named(cluster: LocalCluster) -> None:
    with (
        bare_database(cluster) as url,
        pytest.raises(ConfigurationError, match=r"database bare has no PostGIS .*CREATE EXT"),
    ):
        migrate(url)


def test_postgis_is_created_where_the_role_may(cluster: LocalCluster) -> None:
    with bare_database(cluster):
        url = cluster.superuser_url(database="bare")
        migrate(url)
        assert shape(url)


def test_postgis_in_another_schema_is_refused_with_the_way_out(cluster: LocalCluster) -> None:
    with bare_database(cluster) as url:
        with psycopg.connect(cluster.superuser_url(database="bare")) as superuser:
            superuser.execute("CREATE SCHEMA gis")
            superuser.execute("CREATE EXTENSION postgis SCHEMA gis")
        with pytest.raises(ConfigurationError, match="in the schema gis; it must be in public"):
            migrate(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://u:hidden-pw@/db?host=/nowhere", "cannot be reached: .*/nowhere"),
        ("postgresql://u:hidden-pw@localhost:1/db", "cannot be reached"),
        ("postgresql://u:hidden-pw@localhost/db?no_such=1", "is not a libpq address"),
        ("mysql://u:hidden-pw@localhost/db", "is not a libpq address"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        migrate(url)
    assert "hidden-pw" not in str(caught.value)


async def test_a_pool_speaks_with_our_session_settings(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]],
) -> None:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone,"
            " current_setting('application_name') AS name"
        )
        assert await cursor.fetchone() == {
            "path": "synctables,public",
            "zone": "UTC",
            "name": "tests",
        }


async def test_a_server_is_told_to_notice_that_we_are_gone(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]], database_url: str
) -> None:
    async with (
        pool.connection() as pooled,
        await connect(database_url, application_name="x") as lone,
    ):
        for connection in (pooled, lone):
            cursor = await connection.execute(
                "SELECT current_setting('client_connection_check_interval') AS interval"
            )
            assert await cursor.fetchone() == {"interval": "5s"}
            # On a unix socket they read as 0; that the session asked for them shows all the same.
            cursor = await connection.execute(
                "SELECT count(*) AS asked FROM pg_settings"
                r" WHERE name LIKE 'tcp\_%' AND source = 'client'"
            )
            assert await cursor.fetchone() == {"asked": 4}


async def test_a_pool_replaces_a_connection_that_died(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]],
) -> None:
    async with pool.connection() as connection:
        pid = connection.info.backend_pid
    async with pool.connection() as one, pool.connection() as other:
        killer = other if one.info.backend_pid == pid else one
        await killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        await killer.commit()
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")
