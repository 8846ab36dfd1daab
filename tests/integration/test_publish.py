"""publish: what a table gets after COMMIT, and what happens to it by then is no trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from psycopg.rows import tuple_row

from synctables.accounts.service import create_account
from synctables.catalog.tables import Table, register_table
from synctables.importer.index_sizes import SMALLEST_BYTES, tend_indexes
from synctables.importer.publish import publish

ROWS = 200_000
"""Enough for an index larger than those that are not worth building anew."""


async def make_table(pool: Any, row_count: int) -> Table:
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
        await connection.execute(
            "CREATE TABLE alice.cities AS"
            f" SELECT n AS cartodb_id, n AS size FROM generate_series(1, {row_count}) AS n"
        )
        await connection.execute("ALTER TABLE alice.cities ADD PRIMARY KEY (cartodb_id)")
        await connection.execute("CREATE INDEX ON alice.cities (size)")
        cursor = await connection.execute("SELECT 'alice.cities'::regclass::oid::bigint AS oid")
        return await register_table(
            connection,
            account_id=account.id,
            schema_name="alice",
            name="cities",
            relation_oid=(await cursor.fetchone())["oid"],
            row_count=row_count,
        )


async def rows(pool: Any, statement: str) -> list[Any]:
    async with pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement)
        return list(await cursor.fetchall())


async def run(pool: Any, statement: str) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement)


async def index_bytes(pool: Any) -> int:
    ((size,),) = await rows(pool, "SELECT pg_relation_size('alice.cities_size_idx')")
    return int(size)


@pytest.mark.parametrize("what", ["created", "refreshed"])
@pytest.mark.parametrize(
    "accident",
    [
        "LOCK TABLE alice.cities IN ACCESS EXCLUSIVE MODE",
        "DROP TABLE alice.cities",
    ],
)
async def test_a_table_that_is_locked_or_dropped_by_now_is_passed_over(
    pool: Any, accident: str, what: str
) -> None:
    table = await make_table(pool, 10)
    async with pool.connection() as user, pool.connection() as connection:
        await user.execute(accident)
        if accident.startswith("DROP"):
            await user.commit()
        async with asyncio.timeout(10):
            await publish(connection, **{what: (table,)})
        assert not connection.autocommit


async def test_a_table_that_was_renamed_is_found_and_the_one_with_its_name_left_alone(
    pool: Any,
) -> None:
    table = await make_table(pool, 10)
    await run(pool, "ALTER TABLE alice.cities RENAME TO towns")
    await run(pool, "CREATE TABLE alice.cities AS SELECT 1 AS a")
    async with pool.connection() as connection:
        await publish(connection, refreshed=(table,))
    assert await rows(
        pool,
        "SELECT relname::text, reltuples::integer FROM pg_class"
        " WHERE relnamespace = 'alice'::regnamespace AND relkind = 'r' ORDER BY 1",
    ) == [("cities", -1), ("towns", 10)]


async def test_a_refreshed_table_has_its_dead_rows_removed_and_no_page_given_back(
    pool: Any,
) -> None:
    table = await make_table(pool, 10_000)
    await run(pool, "DELETE FROM alice.cities WHERE cartodb_id > 100")
    size = await rows(pool, "SELECT pg_relation_size('alice.cities')")
    async with pool.connection() as connection:
        await publish(connection, refreshed=(table,))
    assert await rows(pool, "SELECT pg_relation_size('alice.cities')") == size
    assert await rows(
        pool,
        "SELECT reltuples::integer, relallvisible = relpages FROM pg_class"
        " WHERE oid = 'alice.cities'::regclass",
    ) == [(100, True)]


async def test_an_index_past_twice_its_built_size_is_built_anew(pool: Any) -> None:
    table = await make_table(pool, ROWS)
    async with pool.connection() as connection:
        await publish(connection, created=(table,))
    built = await index_bytes(pool)
    assert built > SMALLEST_BYTES
    for _ in range(3):
        await run(pool, "UPDATE alice.cities SET size = size + 1")
    assert await index_bytes(pool) > 2 * built

    async with pool.connection() as connection:
        await publish(connection, refreshed=(table,))
    assert await index_bytes(pool) < 1.2 * built
    assert await rows(
        pool,
        "SELECT relname::text FROM index_sizes JOIN pg_class ON pg_class.oid = index_oid"
        " ORDER BY 1",
    ) == [("cities_pkey",), ("cities_size_idx",)]
    assert await rows(pool, "SELECT count(*) FROM index_sizes") == [(2,)]


async def test_an_index_that_grew_with_its_table_is_left(pool: Any) -> None:
    table = await make_table(pool, ROWS // 4)
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        assert await tend_indexes(connection, table) == []
        await connection.execute(
            "INSERT INTO alice.cities SELECT n, n FROM"
            f" generate_series({ROWS // 4 + 1}, {ROWS}) AS n"
        )
        grown = Table(**{**vars(table), "row_count": ROWS})
        assert await tend_indexes(connection, grown) == []
        await connection.set_autocommit(False)


async def test_what_a_rebuild_in_vain_leaves_is_removed_by_the_next(pool: Any) -> None:
    table = await make_table(pool, ROWS)
    async with pool.connection() as connection:
        await publish(connection, created=(table,))
    for _ in range(3):
        await run(pool, "UPDATE alice.cities SET size = size + 1")
    swollen = await index_bytes(pool)
    async with pool.connection() as user, pool.connection() as connection:
        # An open write: the build cannot begin before it ends.
        await user.execute("INSERT INTO alice.cities VALUES (0, 0)")
        await connection.execute("SELECT set_config('statement_timeout', '2s', false)")
        await connection.commit()
        await publish(connection, refreshed=(table,))
        await connection.execute("RESET statement_timeout")
        await connection.commit()
    assert await index_bytes(pool) >= swollen
    count = "SELECT count(*) FROM pg_index WHERE indrelid = 'alice.cities'::regclass"
    assert await rows(pool, count) == [(4,)]  # both indexes were due

    async with pool.connection() as connection:
        await publish(connection, refreshed=(table,))
    assert await index_bytes(pool) < swollen / 2
    assert await rows(pool, count) == [(2,)]


async def test_an_index_that_is_dropped_at_that_moment_is_passed_over(pool: Any) -> None:
    table = await make_table(pool, 10)
    async with pool.connection() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.execute("SELECT FROM tables")
        await run(pool, "DROP INDEX alice.cities_size_idx")

        assert await tend_indexes(connection, table) == []

    assert await rows(
        pool, "SELECT relname::text FROM index_sizes JOIN pg_class ON pg_class.oid = index_oid"
    ) == [("cities_pkey",)]
