"""From the typed Parquet file into PostgreSQL: binary COPY, encoded batch by batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql

from synctables.errors import LoadError
from synctables.importer.apply.model import Connection
from synctables.importer.model import (
    GEOMETRY_COLUMN,
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
) -> None:
    """COPY the layer's rows with their 1-based position in the file as ``number_column``.

    ``is_frozen`` needs a table made in this very transaction (COPY's FREEZE). Raises `LoadError`
    when the file is not what its description says.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        into,
        sql.SQL(", ").join(map(sql.Identifier, [number_column, *_physical_columns(layer)])),
        sql.SQL(", FREEZE") if is_frozen else sql.SQL(""),
    )
    copied = 0
    async with (
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
        aclosing(_ahead(encoded_batches(layer, number_column))) as batches,
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


def encoded_batches(layer: TypedLayer, number_column: str) -> Iterator[_Encoded]:
    """The COPY stream in pieces, each with the number of rows up to its end."""
    with pq.ParquetFile(layer.path) as file:
        schema = file.schema_arrow
        if schema.names != _physical_columns(layer):
            raise LoadError("The typed file does not have the columns that its description names.")
        numbered = schema.insert(0, pa.field(number_column, pa.int64()))
        encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(
            numbered, _encoders(layer, numbered)
        )
        row_count = 0
        pending = encoder.write_header()
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            numbers = pa.array(np.arange(row_count + 1, row_count + 1 + batch.num_rows))
            row_count += batch.num_rows
            with_numbers = pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=numbered)
            yield pending + encoder.write_batch(with_numbers), row_count
            pending = b""
        yield pending + encoder.finish(), row_count


def _physical_columns(layer: TypedLayer) -> list[str]:
    return [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in layer.columns)]


def _encoders(layer: TypedLayer, schema: pa.Schema) -> dict[str, Any]:
    """pgpq's encoder of each column; text that stands for jsonb is sent as jsonb."""
    jsonb = {column.name for column in layer.columns if column.type is ColumnType.JSONB}
    return {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if field.name in jsonb
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
