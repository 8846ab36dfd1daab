"""From the typed Parquet file into PostgreSQL: binary COPY, encoded batch by batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql

from synctables.errors import LoadError
from synctables.importer.apply.model import Connection
from synctables.importer.apply.numerics import numeric_array
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    HASH_COLUMNS,
    WEBMERCATOR_COLUMN,
    ColumnType,
    TypedLayer,
)

BATCH_ROWS = 50_000

OnRows = Callable[[int], None]


async def copy_rows(
    connection: Connection,
    layer: TypedLayer,
    *,
    into: sql.Composable,
    number_column: str,
    is_frozen: bool,
    on_rows: OnRows,
) -> int:
    """COPY the layer's rows with their 1-based position in the file as ``number_column``.

    ``is_frozen`` needs a table made in this very transaction (COPY's FREEZE). Returns the number
    of rows. Raises `LoadError` when the file is not what its description says.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        into,
        sql.SQL(", ").join(map(sql.Identifier, [number_column, *_physical_columns(layer)])),
        sql.SQL(", FREEZE") if is_frozen else sql.SQL(""),
    )
    batches = encoded_batches(layer, number_column)
    copied = 0
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while (encoded := await asyncio.to_thread(next, batches, None)) is not None:
            content, copied = encoded
            await copy.write(content)
            on_rows(copied)
    return copied


def encoded_batches(layer: TypedLayer, number_column: str) -> Iterator[tuple[bytes, int]]:
    """The COPY stream in pieces, each with the number of rows up to its end."""
    with pq.ParquetFile(layer.path) as file:
        sent = _physical_columns(layer)
        if file.schema_arrow.names != [*sent, *HASH_COLUMNS]:
            raise LoadError("The typed file does not have the columns that its description names.")
        fields = [_sent_field(file.schema_arrow.field(name)) for name in sent]
        numbered = pa.schema([pa.field(number_column, pa.int64()), *fields])
        encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(
            numbered, _encoders(layer, numbered)
        )
        row_count = 0
        pending = encoder.write_header()
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=sent):
            numbers = pa.array(range(row_count + 1, row_count + 1 + batch.num_rows), pa.int64())
            row_count += batch.num_rows
            arrays = [numbers, *map(_sent_array, batch.columns)]
            with_numbers = pa.RecordBatch.from_arrays(arrays, schema=numbered)
            yield pending + encoder.write_batch(with_numbers), row_count
            pending = b""
        yield pending + encoder.finish(), row_count


def _physical_columns(layer: TypedLayer) -> list[str]:
    return [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in layer.columns)]


def _sent_field(field: pa.Field) -> pa.Field:
    return field.with_type(pa.binary()) if pa.types.is_decimal(field.type) else field


def _sent_array(values: pa.Array) -> pa.Array:
    """Decimals as bytes that PostgreSQL takes for numeric: at their own scale, not the column's."""
    return numeric_array(values) if pa.types.is_decimal(values.type) else values


def _encoders(layer: TypedLayer, schema: pa.Schema) -> dict[str, Any]:
    """pgpq's encoder of each column; text that stands for jsonb is sent as jsonb."""
    jsonb = {column.name for column in layer.columns if column.type is ColumnType.JSONB}
    return {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if field.name in jsonb
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
