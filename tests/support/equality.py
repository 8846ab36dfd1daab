"""Whether a table equals a file: said by PostgreSQL, of every value's exact text; no hash of ours.

Numbers count by value (1.5 is 1.50), everything else by its text form, which tells NULL from the
empty text, 0 from -0, and any two geometries apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, tuple_row

from synctables.catalog.tables import Table
from synctables.importer.apply.census import read_census
from synctables.importer.apply.columns import column_definitions
from synctables.importer.apply.copying import copy_rows
from synctables.importer.apply.row_layouts import NEW
from synctables.importer.apply.signatures import read_base, read_journal
from synctables.importer.apply.typed_rows import hashed_rows
from synctables.importer.model import Column, ColumnType, TypedLayer

Connection = AsyncConnection[DictRow]

_MAKE = """
CREATE TEMPORARY TABLE file ("#position" bigint, the_geom geometry(Geometry, 4326),
    the_geom_webmercator geometry(Geometry, 3857){columns}) ON COMMIT DROP
"""


@dataclass(frozen=True)
class Stored:
    """A row of the table: where it is, who wrote it, and what it says in a layer's columns."""

    id: int
    ctid: str
    xmin: int
    content: str


async def read_stored(
    connection: Connection, table: Table, columns: tuple[Column, ...]
) -> list[Stored]:
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        sql.SQL("SELECT cartodb_id, ctid::text, xmin::text::bigint, {} FROM ONLY {}").format(
            _content(columns), sql.Identifier(table.schema_name, table.name)
        )
    )
    return [Stored(*row) for row in await cursor.fetchall()]


async def read_file(connection: Connection, layer: TypedLayer) -> list[str]:
    """What each row of the file says, in file order, once PostgreSQL has read it."""
    async with connection.transaction():
        await connection.execute("DROP TABLE IF EXISTS pg_temp.file")
        await connection.execute(sql.SQL(_MAKE).format(columns=column_definitions(layer.columns)))
        await copy_rows(
            connection, layer, into=sql.Identifier("pg_temp", "file"),
            number_column="#position", is_frozen=False, on_rows=lambda _: None,
        )  # fmt: skip
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(
            sql.SQL('SELECT {} FROM pg_temp.file ORDER BY "#position"').format(
                _content(layer.columns)
            )
        )
        return [row[0] for row in await cursor.fetchall()]


async def assert_remembered(
    connection: Connection, table: Table, layer: TypedLayer, stored: list[Stored], file: list[str]
) -> None:
    """What apply keeps is what a recount gives: a signature for each row, and the census."""
    blocks = [block async for block in read_base(connection, table.id)]
    latest, gone = await read_journal(connection, table.id)
    kept = {int(row["id"]): (int(row["low"]), int(row["high"])) for b in blocks for row in b}
    assert len(kept) == sum(map(len, blocks))
    kept |= {int(row["id"]): (int(row["low"]), int(row["high"])) for row in latest}
    for id_ in gone:
        kept.pop(int(id_), None)
    hashes = np.concatenate([*hashed_rows(layer), np.empty(0, NEW)])
    of_content = {
        content: (int(row["low"]), int(row["high"]))
        for content, row in zip(file, hashes, strict=True)
    }
    assert kept == {row.id: of_content[row.content] for row in stored}
    cursor = await connection.execute(
        "SELECT census_xids, census_rows FROM table_states WHERE table_id = %s", [table.id]
    )
    state = await cursor.fetchone()
    assert state is not None
    census = await read_census(connection, sql.Identifier(table.schema_name, table.name))
    assert dict(zip(state["census_xids"], state["census_rows"], strict=True)) == census


def _content(columns: tuple[Column, ...]) -> sql.Composed:
    """One text for the geometries and these columns."""
    return sql.SQL("ROW({})::text").format(
        sql.SQL(", ").join(
            [
                sql.SQL("the_geom"),
                sql.SQL("the_geom_webmercator"),
                *(
                    sql.SQL("trim_scale({})" if column.type is ColumnType.NUMERIC else "{}").format(
                        sql.Identifier(column.name)
                    )
                    for column in sorted(columns, key=lambda column: column.name)
                ),
            ]
        )
    )
