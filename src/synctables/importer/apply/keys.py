"""Columns that tell all rows of a version apart: what a row that changed can be known again by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synctables.importer import engine
from synctables.importer.apply.row_sets import Numbers
from synctables.importer.apply.typed_rows import chosen_rows
from synctables.importer.model import Column, ColumnType, TypedLayer

_KEY_TYPES = (ColumnType.BIGINT, ColumnType.TEXT)
"""What identifies things in files; a measurement or a moment that happens to be unique does not."""
_FIRST_LOOK_ROWS = 10_000
_BATCH_ROWS = 1 << 18
_FEW_ROWS = 1 << 20
"""Values of so many rows are looked for among all others without a table on disk."""


def unique_columns(
    layer: TypedLayer, *, among: Iterable[str] | None, scratch: Path
) -> tuple[str, ...]:
    """The columns without NULL and without a value that stands twice, of those ``among``.

    None asks for all columns that can be a key. Most are out after the first rows; the rest is
    looked at to the end.
    """
    candidates = _candidates(layer, among)
    if not layer.row_count or not candidates:
        return ()
    with pq.ParquetFile(layer.path) as file:
        likely = _unique_at_first(file, candidates)
        return tuple(name for name in likely if _is_unique(file, name, layer.row_count, scratch))


def still_unique_columns(
    layer: TypedLayer, *, among: Iterable[str], coming: Numbers, scratch: Path
) -> tuple[str, ...]:
    """`unique_columns` where all were unique in the last version, and only ``coming`` are new.

    Rows that stayed differ from each other, so it is enough that the value of each row that came
    (positions, ascending) stands in the file once.
    """
    names = [column.name for column in _candidates(layer, among)]
    if not len(coming):
        return tuple(names)
    if len(coming) > _FEW_ROWS:
        return unique_columns(layer, among=names, scratch=scratch)
    with pq.ParquetFile(layer.path) as file:
        return tuple(
            name
            for name in names
            if _is_ascending(file, name) or _stand_once(file, name, _values(layer, name, coming))
        )


def _values(layer: TypedLayer, name: str, positions: Numbers) -> pa.Array:
    chosen = [rows[name] for rows in chosen_rows(layer, positions, [name])]
    return pa.concat_arrays([chunk for column in chosen for chunk in column.chunks])


def _candidates(layer: TypedLayer, among: Iterable[str] | None) -> list[Column]:
    asked = None if among is None else set(among)
    return [
        column
        for column in layer.columns
        if column.type in _KEY_TYPES and (asked is None or column.name in asked)
    ]


def _stand_once(file: pq.ParquetFile, name: str, values: pa.Array) -> bool:
    """Whether each of these values of the column, which are in the file, is there only once."""
    if values.null_count or pc.count_distinct(values).as_py() < len(values):
        return False
    seen = 0
    for batch in _column(file, name):
        seen += pc.sum(pc.is_in(batch, value_set=values)).as_py() or 0
        if seen > len(values):
            return False
    return True


def _unique_at_first(file: pq.ParquetFile, candidates: list[Column]) -> list[str]:
    names = [column.name for column in candidates]
    first = next(file.iter_batches(batch_size=_FIRST_LOOK_ROWS, columns=names))
    return [
        name
        for name in names
        if not first[name].null_count and pc.count_distinct(first[name]).as_py() == len(first)
    ]


def _is_unique(file: pq.ParquetFile, name: str, row_count: int, scratch: Path) -> bool:
    if row_count <= _FIRST_LOOK_ROWS or _is_ascending(file, name):
        return True
    connection = engine.connect(scratch)
    try:
        seen = 0
        connection.execute("CREATE TABLE hashes (value UBIGINT)")
        for batch in _column(file, name):
            if batch.null_count:
                return False
            connection.register("rows", pa.table({"value": batch}))
            connection.execute("INSERT INTO hashes SELECT hash(value) FROM rows")
            connection.unregister("rows")
            seen += len(batch)
        found = connection.execute(
            "SELECT count(*) FROM (SELECT value FROM hashes GROUP BY value)"
        ).fetchone()
        return found is not None and found[0] == seen
    finally:
        connection.close()


def _is_ascending(file: pq.ParquetFile, name: str) -> bool:
    """Whether each value is above the one before it, as numbers of rows are in most files."""
    before: pa.Array | None = None
    for batch in _column(file, name):
        values = batch if before is None else pa.concat_arrays([before, batch])
        is_above = pc.less(values[:-1], values[1:])
        if batch.null_count or not pc.all(is_above).as_py():
            return False
        before = batch[-1:]
    return True


def _column(file: pq.ParquetFile, name: str) -> Iterator[pa.Array]:
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=[name]):
        yield batch.column(0)
