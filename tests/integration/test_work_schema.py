"""Tables in the making: kept while somebody builds them, swept once nobody does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from synctables.db.pool import connect
from synctables.importer.apply.model import Connection
from synctables.importer.apply.work_schema import (
    WORK_SCHEMA,
    in_work_schema,
    sweep_work_schema,
    table_in_the_making,
)
from synctables.localpg import LocalCluster


async def build(connection: Connection, name: str) -> None:
    async with connection.transaction():
        await connection.execute(sql.SQL("CREATE TABLE {} (a int)").format(in_work_schema(name)))


async def tables(connection: Connection) -> list[str]:
    async with connection.transaction():
        cursor = await connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace", [WORK_SCHEMA]
        )
        return [row["relname"] for row in await cursor.fetchall()]


async def test_a_table_that_a_session_builds_is_left_alone(pool: Any) -> None:
    async with pool.connection() as builder, pool.connection() as sweeper:
        async with table_in_the_making(builder) as name:
            await build(builder, name)
            assert await sweep_work_schema(sweeper) == 0
            assert await tables(sweeper) == [name]
        # The block moved nothing away: it is nobody's now.
        assert await sweep_work_schema(sweeper) == 1
        assert await tables(sweeper) == []


async def test_a_session_that_ended_leaves_its_table_to_the_sweep(
    pool: Any, database_url: str
) -> None:
    builder = await connect(database_url, application_name="tests")

    async def build_until_the_server_ends_the_session() -> None:
        async with table_in_the_making(builder) as name:
            await build(builder, name)
            async with pool.connection() as killer:
                await killer.execute(
                    "SELECT pg_terminate_backend(%s, 5000)", [builder.info.backend_pid]
                )
            await builder.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        await build_until_the_server_ends_the_session()
    async with pool.connection() as sweeper:
        assert len(await tables(sweeper)) == 1
        assert await sweep_work_schema(sweeper) == 1


async def test_a_block_that_fails_takes_its_table_along(pool: Any) -> None:
    async def build_and_fail(builder: Connection) -> None:
        async with table_in_the_making(builder) as name:
            await build(builder, name)
            raise ZeroDivisionError

    async with pool.connection() as builder:
        with pytest.raises(ZeroDivisionError):
            await build_and_fail(builder)
        assert await tables(builder) == []
        cursor = await builder.execute(
            "SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory'"
            " AND pid = pg_backend_pid()"
        )
        assert await cursor.fetchone() == {"locks": 0}


async def test_another_role_that_takes_the_same_lock_keeps_nothing_from_the_sweep(
    pool: Any, database_url: str, cluster: LocalCluster
) -> None:
    async with pool.connection() as builder, table_in_the_making(builder) as name:
        await build(builder, name)
    key = int.from_bytes(bytes.fromhex(name[4:20]), signed=True)
    database = database_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(cluster.superuser_url(database=database)) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key])
        async with pool.connection() as sweeper:
            assert await sweep_work_schema(sweeper) == 1


async def test_a_locked_table_waits_for_the_next_sweep(pool: Any) -> None:
    async with pool.connection() as builder, pool.connection() as sweeper:
        async with table_in_the_making(builder) as name:
            await build(builder, name)
        async with builder.transaction():
            await builder.execute(
                sql.SQL("LOCK TABLE {} IN SHARE MODE").format(in_work_schema(name))
            )
            assert await sweep_work_schema(sweeper) == 0
        assert await sweep_work_schema(sweeper) == 1
