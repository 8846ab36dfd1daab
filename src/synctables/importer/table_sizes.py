"""What a typed layer will take as a table, before it is one.

Meant to be a little less than it will be, so that nothing is refused that would fit. What a table
really takes is measured before COMMIT.
"""

from __future__ import annotations

import pyarrow as pa

from synctables.importer.apply.typed_rows import typed_batches, typed_schema
from synctables.importer.model import GEOMETRY_COLUMN, HASH_COLUMNS, TypedLayer

ROW_BYTES = 36
"""A row's header (24), its place on the page (4) and its id (8), before any column."""
FILLED_SHARE = 0.85
ID_INDEX_BYTES = 20
SHAPE_INDEX_BYTES = 40
NO_SHAPE_INDEX_BYTES = 20
"""Of each of both indexes on shapes, for a row that has one, and for a row that has none."""

DECIMAL_SHARE = 5 / 16
"""A decimal has 16 bytes in the typed file; a short number in the table has 5 or more."""
TOASTED_FROM_BYTES = 2_000
TOASTED_SHARE = 0.25
"""Longer rows are compressed where that helps; how much it will is not known before."""


def estimate_table_bytes(layer: TypedLayer) -> int:
    """Bytes that the table and its indexes take at least."""
    rows = layer.row_count
    values, shapes = _measure(layer)
    kept = min(values, rows * TOASTED_FROM_BYTES)
    values = kept + (values - kept) * TOASTED_SHARE
    heap = (rows * ROW_BYTES + values) / FILLED_SHARE
    indexes = shapes * SHAPE_INDEX_BYTES + (rows - shapes) * NO_SHAPE_INDEX_BYTES
    return int(heap + rows * ID_INDEX_BYTES + 2 * indexes)


def _measure(layer: TypedLayer) -> tuple[float, int]:
    """Bytes of all values that become columns, and how many rows have a shape."""
    names = [name for name in typed_schema(layer).names if name not in HASH_COLUMNS]
    values, shapes = 0.0, 0
    for batch in typed_batches(layer, names):
        values += sum(_value_bytes(column) for column in batch.columns)
        if GEOMETRY_COLUMN in names:
            shapes += len(batch) - batch.column(GEOMETRY_COLUMN).null_count
    return values, shapes


def _value_bytes(column: pa.Array) -> float:
    """Bytes of a column's values; a null takes none in a table."""
    share = DECIMAL_SHARE if pa.types.is_decimal(column.type) else 1.0
    return float(column.nbytes * share * (1 - column.null_count / max(1, len(column))))
