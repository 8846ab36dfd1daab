"""Tables to be rewritten: made by apply, hung with what users hang on tables, and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table, find_table
from synctables.importer.apply.census import Census, read_census
from synctables.importer.apply.rewrite import rewrite
from synctables.importer.model import Column, ColumnType, TypedLayer
from synctables.localpg.binaries import find_binaries
from tests.support.applying import Applying
from tests.support.layers import MakeLayer

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

TYPES = {"name": ColumnType.TEXT, "size": ColumnType.BIGINT, "code": ColumnType.TEXT}
CITIES = [("Oslo", 700_000, "a"), ("Bergen", 280_000, "b"), ("Bodø", 52_000, "c"), (None, 1, "d")]
POINTS = [(10.75, 59.91), (5.32, 60.39), (14.4, 67.28), None]


async def nothing_more(connection: Connection, table: Table, census: Census) -> None:
    """Where a test has nothing to write in the transaction of the swap."""


@dataclass
class Rewriting:
    """The table ``alice.cities``, of four rows with the ids 1 to 4, and what tests do with it."""

    pool: Pool
    database_url: str
    make_layer: MakeLayer
    table: Table
    columns: tuple[Column, ...]
    finished: list[tuple[Table, Census]] = field(default_factory=list)

    async def run(self, *statements: str) -> None:
        """Carry out statements as the owner, each for itself."""
        async with self.pool.connection() as connection:
            for statement in statements:
                await connection.execute(statement.encode())
                await connection.commit()

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with (
            self.pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(statement.encode())
            return await cursor.fetchall()

    async def value(self, statement: str) -> Any:
        return (await self.rows(statement))[0][0]

    async def census(self) -> dict[int, int]:
        async with self.pool.connection() as connection:
            return await read_census(connection, sql.Identifier("alice", "cities"))

    async def live(self) -> Table:
        async with self.pool.connection() as connection:
            found = await find_table(connection, self.table.id)
        assert found is not None
        return found

    async def rewrite(
        self,
        cities: Sequence[tuple[Any, ...]] = CITIES,
        *,
        ids: Sequence[int] = (1, 2, 3, 4),
        types: dict[str, ColumnType] = TYPES,
        finish: Callable[[Connection, Table, Census], Awaitable[None]] = nothing_more,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> Table:
        """Rewrite the table so that it holds these rows under these ids."""
        layer = self.layer(cities, types=types)
        names = {column.name for column in layer.columns}
        vanished = tuple(column for column in self.columns if column.name not in names)

        async def record(connection: Connection, table: Table, census: Census) -> None:
            await finish(connection, table, census)
            self.finished.append((table, census))
            await connection.execute(
                "UPDATE tables SET relation_oid = %s WHERE id = %s", [table.relation_oid, table.id]
            )

        return await rewrite(
            self.pool,
            layer,
            await self.live(),
            columns=layer.columns + vanished,
            ids=np.array(ids, np.int64),
            census=await self.census(),
            finish=record,
            on_rows=on_rows,
        )

    def layer(
        self, cities: Sequence[tuple[Any, ...]], *, types: dict[str, ColumnType] = TYPES
    ) -> TypedLayer:
        points = [POINTS[number % len(POINTS)] for number in range(len(cities))]
        return self.make_layer(types, cities, points)

    async def describe(self) -> list[str]:
        """All that pg_dump says of the database, without rows; another mind than apply's."""
        return await describe_database(self.database_url)

    async def left_behind(self) -> list[tuple[Any, ...]]:
        """What a rewrite leaves anywhere, by name, if it does; locks too."""
        return await self.rows(
            "SELECT relname FROM pg_class WHERE relname ~ '_[0-9a-f]{32}$'"
            " UNION ALL SELECT locktype FROM pg_locks WHERE locktype = 'advisory'"
            " UNION ALL SELECT relname FROM pg_class"
            " WHERE relnamespace = 'synctables_work'::regnamespace"
        )


async def describe_database(database_url: str) -> list[str]:
    """All that pg_dump says of the database, without rows; another mind than apply's."""
    process = await asyncio.create_subprocess_exec(
        str(find_binaries().bin_dir / "pg_dump"),
        "--schema-only",
        "--exclude-schema=synctables",
        database_url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    lines = output.decode().splitlines()
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]


@pytest.fixture
async def cities(applying: Applying, database_url: str, make_layer: MakeLayer) -> Rewriting:
    """``alice.cities`` with the ids 1 to 4, committed."""
    applied = await applying.create(make_layer(TYPES, CITIES, POINTS))
    return Rewriting(
        pool=applying.pool,
        database_url=database_url,
        make_layer=make_layer,
        table=applied.table,
        columns=applied.columns,
    )


@pytest.fixture
def superuser(cluster: Any, database_url: str) -> Any:
    """A superuser's connection to the test's database, for what an administrator does there."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(cluster.superuser_url(database=name), autocommit=True) as connection:
        yield connection
