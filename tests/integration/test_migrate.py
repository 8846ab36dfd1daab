"""Bringing a database up to this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.db.migrate import migrate

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow
    from psycopg_pool import AsyncConnectionPool


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
    migrate(database_url)


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
