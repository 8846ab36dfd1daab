"""A pool's connections: dead ones are replaced, living ones are not asked at every turn."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from synctables.db.pool import create_pool


async def backend_pid(pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> int:
    async with pool.connection() as connection:
        return connection.info.backend_pid


async def test_a_dead_connection_is_replaced_before_it_is_handed_out(database_url: str) -> None:
    async with create_pool(database_url, max_size=1, application_name="tests") as pool:
        before = await backend_pid(pool)
        with psycopg.connect(database_url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        assert await backend_pid(pool) != before


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 5), (3600.0, 1)])
async def test_one_that_was_alive_a_moment_ago_is_not_asked_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    checked = []
    check = AsyncConnectionPool.check_connection

    async def check_and_count(connection: AsyncConnection[DictRow]) -> None:
        checked.append(connection)
        await check(connection)

    monkeypatch.setattr(AsyncConnectionPool, "check_connection", staticmethod(check_and_count))
    async with create_pool(
        database_url, max_size=1, application_name="tests", check_again_seconds=seconds
    ) as pool:
        assert len({await backend_pid(pool) for _ in range(5)}) == 1
    assert len(checked) == count
