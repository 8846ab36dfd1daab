"""From the typed file into PostgreSQL: binary COPY, encoded batch by batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql

from synctables.errors import LoadError
from synctables.importer.apply.model import Connection
from synctables.importer.apply.numerics import numeric_array
from synctables.importer.apply.typed_rows import typed_batches, typed_schema
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    HASH_COLUMNS,
    WEBMERCATOR_COLUMN,
    ColumnType,
    TypedLayer,
)

BATCH_ROWS = 20_000

OnRows = Callable[[int], None]
_Encoded: TypeAlias = tuple[bytes, int]


async def copy_rows(
    connection: Connection,
    layer: TypedLayer,
    *,
    into: sql.Composable,
    number_column: str,
    is_frozen: bool,
    on_rows: OnRows,
    numbers: NDArray[np.int64] | None = None,
    beside: Path | None = None,
) -> None:
    """COPY the layer's rows with their 1-based position in the file as ``number_column``.

    ``numbers`` go there instead where they are given, one for each row. ``beside`` is a Parquet
    file of as many rows: further columns, each value in PostgreSQL's binary form.

    ``is_frozen`` needs a table made in this very transaction (COPY's FREEZE). Raises `LoadError`
    when the file is not what its description says.
    """
    further = pq.read_schema(beside).names if beside else []
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        into,
        sql.SQL(", ").join(
            map(sql.Identifier, [number_column, *_physical_columns(layer), *further])
        ),
        sql.SQL(", FREEZE") if is_frozen else sql.SQL(""),
    )
    copied = 0
    async with (
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
        aclosing(
            _ahead(encoded_batches(layer, number_column, numbers=numbers, beside=beside))
        ) as batches,
    ):
        async for content, copied in batches:
            await copy.write(content)
            on_rows(copied)
    if copied != layer.row_count:
        raise LoadError(f"The typed file has {copied:,} rows, not {layer.row_count:,}.")


async def _ahead(batches: Iterator[_Encoded]) -> AsyncGenerator[_Encoded]:
    """Each batch, while a thread encodes the next: the server need not wait for it."""
    coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
    try:
        while (encoded := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
            yield encoded
    finally:
        # A thread cannot be called off, and it reads a file that is removed after the run.
        await asyncio.gather(coming, return_exceptions=True)


def encoded_batches(
    layer: TypedLayer,
    number_column: str,
    *,
    numbers: NDArray[np.int64] | None = None,
    beside: Path | None = None,
) -> Iterator[_Encoded]:
    """The COPY stream in pieces, each with the number of rows up to its end."""
    sent, schema = _physical_columns(layer), typed_schema(layer)
    if schema.names != [*sent, *HASH_COLUMNS]:
        raise LoadError("The typed file does not have the columns that its description names.")
    fields = pa.schema([schema.field(name) for name in sent])
    numbered = pa.schema([pa.field(number_column, pa.int64()), *_sent_schema(fields)])
    further = _Beside(beside) if beside else None
    for field in further.schema if further else ():
        numbered = numbered.append(field)
    encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(numbered, encoders(layer, numbered))
    row_count = 0
    pending = encoder.write_header()
    for batch in _parts(typed_batches(layer, sent)):
        start, row_count = row_count, row_count + batch.num_rows
        positions = np.arange(start + 1, row_count + 1, dtype=np.int64)
        columns = [
            pa.array(positions if numbers is None else numbers[start:row_count]),
            *as_sent(batch).columns,
            *(further.take(batch.num_rows) if further else ()),
        ]
        with_numbers = pa.RecordBatch.from_arrays(columns, schema=numbered)
        yield pending + encoder.write_batch(with_numbers), row_count
        pending = b""
    yield pending + encoder.finish(), row_count


def _parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in smaller pieces, so that the server has work while the next is encoded."""
    for batch in batches:
        for start in range(0, len(batch), BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


class _Beside:
    """Columns from a second file, in batches of as many rows as the first one's have."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self._batches = self._file.iter_batches(batch_size=BATCH_ROWS)
        self._rest = self.schema.empty_table()

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    def take(self, row_count: int) -> list[pa.Array]:
        while self._rest.num_rows < row_count:
            batch = pa.Table.from_batches([next(self._batches)])
            self._rest = pa.concat_tables([self._rest, batch])
        taken, self._rest = self._rest.slice(0, row_count), self._rest.slice(row_count)
        return [column.combine_chunks() for column in taken.columns]


def _physical_columns(layer: TypedLayer) -> list[str]:
    return [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in layer.columns)]


def as_sent(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with decimals as the bytes of a numeric: at their own scale, not the column's."""
    return pa.RecordBatch.from_arrays(
        [numeric_array(c) if pa.types.is_decimal(c.type) else c for c in rows.columns],
        schema=_sent_schema(rows.schema),
    )


def _sent_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [f.with_type(pa.binary()) if pa.types.is_decimal(f.type) else f for f in schema]
    )


def encoders(layer: TypedLayer, schema: pa.Schema) -> dict[str, Any]:
    """pgpq's encoder of each column; text that stands for jsonb is sent as jsonb."""
    jsonb = {column.name for column in layer.columns if column.type is ColumnType.JSONB}
    return {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if field.name in jsonb
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
