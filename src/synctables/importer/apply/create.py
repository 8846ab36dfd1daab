"""create: no table yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table, lock_names, register_table
from synctables.importer.apply.census import own_xid
from synctables.importer.apply.columns import column_definitions, oid_of, qualified
from synctables.importer.apply.copying import OnRows, copy_rows
from synctables.importer.apply.keys import unique_columns
from synctables.importer.apply.model import Applied, Connection, Target, Way
from synctables.importer.apply.remember import remember_all, remember_state
from synctables.importer.apply.work import Record
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ID_COLUMN,
    WEBMERCATOR_COLUMN,
    RowCounts,
    TypedLayer,
)
from synctables.importer.table_names import first_free

FILLFACTOR = 85
"""Room for HOT updates on each page (refresh.md 2)."""


async def create_all(
    pool: AsyncConnectionPool[Connection],
    layers: Sequence[tuple[TypedLayer, Target]],
    *,
    scratch: Path,
    on_rows: OnRows,
    record: Record,
) -> tuple[Applied, ...]:
    """Make a table of each layer; all of them become visible with what ``record`` writes."""
    async with pool.connection() as connection, connection.transaction():
        applied = []
        for layer, target in layers:
            made = await create(connection, layer, target, on_rows=on_rows)
            if target.is_kept_fresh:
                await _remember(connection, made, layer, scratch)
            applied.append(made)
        await record(connection, tuple(applied))
    return tuple(applied)


async def _remember(
    connection: Connection, made: Applied, layer: TypedLayer, scratch: Path
) -> None:
    unique = await asyncio.to_thread(unique_columns, layer, among=None, scratch=scratch)
    await remember_state(
        connection,
        made.table,
        layer,
        made.columns,
        census={await own_xid(connection): layer.row_count} if layer.row_count else {},
        key_column=None,
        unique_columns=unique,
    )
    ids = np.arange(1, layer.row_count + 1)
    await remember_all(connection, made.table, layer, ids)


async def create(
    connection: Connection, layer: TypedLayer, target: Target, *, on_rows: OnRows
) -> Applied:
    """Make the table with its rows, indexes and record; visible to nobody before COMMIT.

    It gets its name after the rows are in, so that the lock on the account's names is held while
    indexes are built, but not while rows are sent; PostgreSQL then names indexes and sequence
    after it. COPY freezes the rows, as a table made in this transaction allows.
    """
    provisional = qualified(target.schema_name, f"new_{uuid4().hex}")
    await connection.execute(
        sql.SQL(
            "CREATE TABLE {} ({} bigint,"
            " {} geometry(Geometry, 4326), {} geometry(Geometry, 3857){})"
            " WITH (fillfactor = {})"
        ).format(
            provisional,
            sql.Identifier(ID_COLUMN),
            sql.Identifier(GEOMETRY_COLUMN),
            sql.Identifier(WEBMERCATOR_COLUMN),
            column_definitions(layer.columns),
            sql.Literal(FILLFACTOR),
        )
    )
    row_count = await copy_rows(
        connection,
        layer,
        into=provisional,
        number_column=ID_COLUMN,
        is_frozen=True,
        on_rows=on_rows,
    )
    table = await _name(connection, provisional, target, row_count)
    await _index(connection, table)
    await _number_new_rows(connection, table)
    return Applied(
        table=table, columns=layer.columns, rows=RowCounts(inserted=row_count), way=Way.CREATE
    )


async def _name(
    connection: Connection, provisional: sql.Identifier, target: Target, row_count: int
) -> Table:
    taken = await lock_names(
        connection, account_id=target.account_id, schema_name=target.schema_name
    )
    name = first_free(target.table_name, taken)
    await connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(provisional, sql.Identifier(name))
    )
    return await register_table(
        connection,
        account_id=target.account_id,
        schema_name=target.schema_name,
        name=name,
        relation_oid=await oid_of(connection, qualified(target.schema_name, name)),
        row_count=row_count,
    )


async def _index(connection: Connection, table: Table) -> None:
    """Primary key and both spatial indexes, named by PostgreSQL after the table."""
    relation = qualified(table.schema_name, table.name)
    await connection.execute(
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(relation, sql.Identifier(ID_COLUMN))
    )
    for column in (GEOMETRY_COLUMN, WEBMERCATOR_COLUMN):
        await connection.execute(
            sql.SQL("CREATE INDEX ON {} USING gist ({})").format(relation, sql.Identifier(column))
        )


async def _number_new_rows(connection: Connection, table: Table) -> None:
    await connection.execute(
        sql.SQL(
            "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED BY DEFAULT AS IDENTITY (START {})"
        ).format(
            qualified(table.schema_name, table.name),
            sql.Identifier(ID_COLUMN),
            sql.Literal(table.row_count + 1),
        )
    )
