"""apply as the pipeline calls it, on a database of its own: create, refresh, look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.model import Account
from synctables.accounts.service import create_account
from synctables.catalog.tables import Table, find_table
from synctables.importer.apply import Applied, Record, Target, apply
from synctables.importer.model import ColumnType, TypedLayer

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

TYPES = {"name": ColumnType.TEXT, "size": ColumnType.BIGINT}
CITIES = [("Oslo", 700_000), ("Bergen", 280_000), ("Bergen", 280_000), (None, None)]
POINTS = [(10.75, 59.91), (5.32, 60.39), (5.32, 60.39), None]


@dataclass(frozen=True, kw_only=True)
class Applying:
    """The account ``alice`` and the means to apply layers to its tables; every call commits."""

    pool: Pool
    account: Account
    scratch: Path

    async def create(
        self, layer: TypedLayer, name: str = "cities", *, record: Record | None = None
    ) -> Applied:
        """A new table of the layer."""
        return await self._apply(layer, self._target(name), record)

    async def refresh(
        self,
        layer: TypedLayer,
        before: Applied,
        *,
        live: Table | None = None,
        key: Sequence[str] = (),
        record: Record | None = None,
    ) -> Applied:
        """The table of ``before``, made equal to the layer. ``live``: as a run knew it."""
        live = live or await self.find(before)
        assert live is not None
        return await self._apply(layer, self.target_of(before, live, key=key), record)

    def target_of(self, before: Applied, live: Table, *, key: Sequence[str] = ()) -> Target:
        """The live table, to be refreshed."""
        return Target(
            account_id=self.account.id,
            schema_name=self.account.schema_name,
            table_name=live.name,
            live=live,
            contract=before.columns,
            key_columns=tuple(key),
        )

    async def find(self, applied: Applied) -> Table | None:
        """The table under its present name."""
        async with self.pool.connection() as connection:
            return await find_table(connection, applied.table.id)

    async def execute(self, *statements: str) -> None:
        """What a user does, each statement in a transaction of its own."""
        for statement in statements:
            async with self.pool.connection() as connection:
                await connection.execute(statement.encode())

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(query.encode())
            return await cursor.fetchall()

    async def content(self, table: str = "alice.cities", *, but: Sequence[str] = ()) -> list[str]:
        """Every row without its id as text, sorted: the table as a multiset."""
        left_out = ["cartodb_id", *but]
        return [
            row[0]
            for row in await self.rows(
                f"SELECT (to_jsonb(t) - '{{{','.join(left_out)}}}'::text[])::text"
                f" FROM {table} AS t ORDER BY 1"
            )
        ]

    def _target(self, name: str) -> Target:
        return Target(
            account_id=self.account.id,
            schema_name=self.account.schema_name,
            table_name=name,
            live=None,
            contract=(),
        )

    async def _apply(self, layer: TypedLayer, target: Target, record: Record | None) -> Applied:
        (applied,) = await apply(
            self.pool,
            [(layer, target)],
            scratch=self.scratch,
            on_rows=lambda _: None,
            record=record or record_nothing,
            hold_fence=hold_nothing,
        )
        return applied


async def record_nothing(
    connection: AsyncConnection[DictRow], applied: tuple[Applied, ...]
) -> None:
    """A record of a run that nobody keeps."""


async def hold_nothing(connection: AsyncConnection[DictRow]) -> None:
    """The fence of a run that nobody else could own."""


@pytest.fixture
async def applying(pool: Pool, tmp_path: Path) -> Applying:
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Applying(pool=pool, account=account, scratch=scratch)
