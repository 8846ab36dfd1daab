"""The values of users' own columns, which stay with their rows through a rewrite.

They are read in PostgreSQL's binary form, row by row in the order of the new file, and sent as they
came: COPY takes the binary form of any type, so no value passes through a type of ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from psycopg import sql

from synctables.importer.apply.columns import Statement
from synctables.importer.apply.copying import BATCH_ROWS
from synctables.importer.apply.model import Connection
from synctables.importer.apply.table_shape import LiveColumn, OwnedSequence, Shape
from synctables.importer.model import ID_COLUMN

_VALUES = """
COPY (SELECT {values}
      FROM unnest({ids}::bigint[]) WITH ORDINALITY AS wanted (id, position)
      LEFT JOIN ONLY {table} AS stored ON stored.{id} = wanted.id
      ORDER BY wanted.position)
TO STDOUT (FORMAT binary)
"""

# A row that is new gets what an INSERT without the column would give it.
_VALUE = "CASE WHEN stored.{id} IS NULL THEN ({default})::{type} ELSE stored.{name} END"


async def fetch_own_values(
    connection: Connection,
    shape: Shape,
    own: tuple[LiveColumn, ...],
    ids: NDArray[np.int64],
    path: Path,
) -> None:
    """Write a Parquet file of these columns, binary, one row for each id and in their order."""
    table = sql.SQL(shape.relation.relation)
    values = sql.SQL(", ").join([_value(column, shape.sequences) for column in own])
    schema = pa.schema([pa.field(column.name, pa.large_binary()) for column in own])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for start in range(0, len(ids), BATCH_ROWS):
            wanted = [int(number) for number in ids[start : start + BATCH_ROWS]]
            statement = sql.SQL(_VALUES).format(
                values=values,
                ids=sql.Literal(wanted),
                table=table,
                id=sql.Identifier(ID_COLUMN),
            )
            writer.write_batch(await _read(connection, statement, schema))


async def _read(connection: Connection, statement: Statement, schema: pa.Schema) -> pa.RecordBatch:
    columns: list[list[bytes | None]] = [[] for _ in schema]
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        async for row in copy.rows():
            for values, value in zip(columns, row, strict=True):
                values.append(value)
    arrays = [pa.array(values, pa.large_binary()) for values in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _value(column: LiveColumn, sequences: tuple[OwnedSequence, ...]) -> Statement:
    default = column.expression or column.domain_default or "NULL"
    for sequence in sequences:
        if column.identity and sequence.column_name == column.name:
            default = f"nextval({sequence.oid}::regclass)"
    return sql.SQL(_VALUE).format(
        id=sql.Identifier(ID_COLUMN),
        default=sql.SQL(default),
        type=sql.SQL(column.type),
        name=sql.Identifier(column.name),
    )
