"""Rows of the new version beside the table, and what each would change in it.

Temporary tables of one transaction: ``staged_rows`` holds rows of the file, ``pairs`` says which
row of the table each of them continues, and ``changes`` says of every pair what differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from synctables.importer.apply.columns import column_definitions
from synctables.importer.apply.copying import OnRows, as_sent, encoders
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.transfer import send_table
from synctables.importer.apply.typed_rows import POSITION, chosen_rows
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ID_COLUMN,
    WEBMERCATOR_COLUMN,
    Column,
    TypedLayer,
)

STAGED_ROWS = sql.Identifier("pg_temp", "staged_rows")

_FORGET = "DROP TABLE IF EXISTS pg_temp.staged_rows, pg_temp.pairs, pg_temp.changes"

_MAKE_STAGED_ROWS = """
CREATE TEMPORARY TABLE staged_rows ({position} bigint,
    {geometry} geometry(Geometry, 4326), {webmercator} geometry(Geometry, 3857){columns}
) ON COMMIT DROP
"""

_MAKE_PAIRS = 'CREATE TEMPORARY TABLE pairs ("#id" bigint, "#position" bigint) ON COMMIT DROP'

# The mask has a 1 for each column whose image differs, which tells 0.0 from -0.0 and reads TOAST.
# xmin shows later whether somebody changed the row after we had looked at it.
_FIND_CHANGES = """
CREATE TEMPORARY TABLE changes ON COMMIT DROP AS
SELECT pairs."#id", pairs."#position", stored.xmin AS "#xid", {mask} AS "#mask"
FROM pg_temp.pairs
JOIN pg_temp.staged_rows AS new USING ("#position")
JOIN ONLY {table} AS stored ON stored.{id} = pairs."#id"
"""


def all_names(columns: Iterable[Column]) -> list[str]:
    """Every column that a refresh writes, in the order of the mask."""
    return [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in columns)]


async def stage(
    connection: Connection,
    layer: TypedLayer,
    positions: Numbers,
    columns: tuple[Column, ...],
    *,
    on_rows: OnRows,
) -> None:
    """Send these rows of the file (ascending); columns that the file does not have are NULL."""
    await connection.execute(_FORGET)
    await connection.execute(
        sql.SQL(_MAKE_STAGED_ROWS).format(
            position=sql.Identifier(POSITION),
            geometry=sql.Identifier(GEOMETRY_COLUMN),
            webmercator=sql.Identifier(WEBMERCATOR_COLUMN),
            columns=column_definitions(columns),
        )
    )
    await send_rows(connection, layer, positions, all_names(layer.columns), STAGED_ROWS, on_rows)
    # They are only found by their position; statistics of shapes would take as long as the COPY.
    await connection.execute(
        sql.SQL("ANALYZE {} ({})").format(STAGED_ROWS, sql.Identifier(POSITION))
    )


async def send_rows(
    connection: Connection,
    layer: TypedLayer,
    positions: Numbers,
    names: Sequence[str],
    into: sql.Composable,
    on_rows: OnRows,
) -> None:
    """COPY these columns of these rows, their position first."""
    if not len(positions):
        return
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        into, sql.SQL(", ").join(map(sql.Identifier, [POSITION, *names]))
    )
    pieces = _encoded(layer, positions, names)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            content, sent = piece
            await copy.write(content)
            on_rows(sent)


def _encoded(
    layer: TypedLayer, positions: Numbers, names: Sequence[str]
) -> Iterator[tuple[bytes, int]]:
    encoder: ArrowToPostgresBinaryEncoder | None = None
    count = 0
    for rows in chosen_rows(layer, positions, names):
        batch = as_sent(rows)
        header = b""
        if encoder is None:
            encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(
                batch.schema, encoders(layer, batch.schema)
            )
            header = encoder.write_header()
        count += len(rows)
        yield header + encoder.write_batch(batch), count
    if encoder is not None:
        yield encoder.finish(), count


async def find_changes(
    connection: Connection,
    table: sql.Composable,
    columns: tuple[Column, ...],
    ids: Numbers,
    positions: Numbers,
) -> None:
    """Fill ``changes`` for rows of the table and the staged rows that continue them."""
    await connection.execute(_MAKE_PAIRS)
    await send_table(
        connection,
        pa.table({"#id": np.ascontiguousarray(ids), "#position": np.ascontiguousarray(positions)}),
        into=sql.Identifier("pg_temp", "pairs"),
    )
    await connection.execute("ANALYZE pg_temp.pairs")
    await connection.execute(
        sql.SQL(_FIND_CHANGES).format(
            table=table, id=sql.Identifier(ID_COLUMN), mask=_mask(all_names(columns))
        )
    )
    await connection.execute("ANALYZE pg_temp.changes")


_MARK = "CASE WHEN record_image_ne(ROW({stored}), ROW({new})) THEN '1' ELSE '0' END"
_SHAPES = (GEOMETRY_COLUMN, WEBMERCATOR_COLUMN)


def _mask(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(" || ").join(
        [_mark((name,) if name not in _SHAPES else _SHAPES) for name in names]
    )


def _mark(names: Sequence[str]) -> sql.Composed:
    """1 if one of these columns differs: a shape and its projection are written together."""
    return sql.SQL(_MARK).format(
        stored=sql.SQL(", ").join([sql.Identifier("stored", name) for name in names]),
        new=sql.SQL(", ").join([sql.Identifier("new", name) for name in names]),
    )
