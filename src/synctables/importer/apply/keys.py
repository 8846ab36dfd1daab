"""Columns that tell all rows of a version apart: what a row that changed can be known again by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer import engine
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.typed_rows import chosen_rows, typed_batches
from synctables.importer.model import Column, ColumnType, TypedLayer

_KEY_TYPES = (ColumnType.BIGINT, ColumnType.TEXT)
"""What identifies things in files; a measurement or a moment that happens to be unique does not."""
_FIRST_LOOK_ROWS = 10_000
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
    likely = _unique_at_first(layer, candidates)
    return tuple(name for name in likely if _is_unique(layer, name, scratch))


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
    return tuple(
        name
        for name in names
        if _is_ascending(layer, name) or _stand_once(layer, name, _values(layer, name, coming))
    )


def _values(layer: TypedLayer, name: str, positions: Numbers) -> pa.Array:
    return pa.concat_arrays([rows.column(name) for rows in chosen_rows(layer, positions, [name])])


def _candidates(layer: TypedLayer, among: Iterable[str] | None) -> list[Column]:
    asked = None if among is None else set(among)
    return [
        column
        for column in layer.columns
        if column.type in _KEY_TYPES and (asked is None or column.name in asked)
    ]


def _stand_once(layer: TypedLayer, name: str, values: pa.Array) -> bool:
    """Whether each of these values of the column, which are in the file, is there only once."""
    if values.null_count or pc.count_distinct(values).as_py() < len(values):
        return False
    seen = 0
    for batch in _column(layer, name):
        seen += pc.sum(pc.is_in(batch, value_set=values)).as_py() or 0
        if seen > len(values):
            return False
    return True


def _unique_at_first(layer: TypedLayer, candidates: list[Column]) -> list[str]:
    names = [column.name for column in candidates]
    first = next(typed_batches(layer, names)).slice(0, _FIRST_LOOK_ROWS)
    return [
        name
        for name, values in zip(names, first.columns, strict=True)
        if not values.null_count and pc.count_distinct(values).as_py() == len(values)
    ]


def _is_unique(layer: TypedLayer, name: str, scratch: Path) -> bool:
    if layer.row_count <= _FIRST_LOOK_ROWS or _is_ascending(layer, name):
        return True
    connection = engine.connect(scratch)
    try:
        seen = 0
        connection.execute("CREATE TABLE hashes (value UBIGINT)")
        for batch in _column(layer, name):
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


def _is_ascending(layer: TypedLayer, name: str) -> bool:
    """Whether each value is above the one before it, as numbers of rows are in most files."""
    before: pa.Array | None = None
    for batch in _column(layer, name):
        values = batch if before is None else pa.concat_arrays([before, batch])
        is_above = pc.less(values[:-1], values[1:])
        if batch.null_count or not pc.all(is_above).as_py():
            return False
        before = batch[-1:]
    return True


def _column(layer: TypedLayer, name: str) -> Iterator[pa.Array]:
    for batch in typed_batches(layer, [name]):
        yield batch.column(0)
