"""Numbers to and from PostgreSQL by the million, without an object for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from synctables.importer.apply.model import Connection

_ROWS_PER_PART = 500_000

# One bytea for many rows: a row of its own for each would cost more than what it holds.
_PACK = """
SELECT string_agg(packed, ''::bytea) AS packed
FROM (SELECT packed, (row_number() OVER () - 1) / {rows} AS part
      FROM ({query}) AS answer) AS numbered
GROUP BY part
"""


async def fetch_packed(
    connection: Connection, query: sql.Composable, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The rows of a query whose only column, ``packed``, is a bytea in the layout of ``dtype``.

    The rows come in no order.
    """
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql.SQL(_PACK).format(rows=sql.Literal(_ROWS_PER_PART), query=query))
        parts = [row["packed"] for row in await cursor.fetchall()]
    return np.frombuffer(b"".join(parts), dtype=dtype)


async def send_table(connection: Connection, table: pa.Table, *, into: sql.Composable) -> None:
    """COPY an Arrow table of numbers into the columns of these names."""
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        into, sql.SQL(", ").join(map(sql.Identifier, table.schema.names))
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(encoder.write_header())
        for batch in table.to_batches(max_chunksize=_ROWS_PER_PART):
            await copy.write(encoder.write_batch(batch))
        await copy.write(encoder.finish())
