"""Columns that tell all rows of a version apart: what a row that changed can be known again by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from synctables.importer import engine
from synctables.importer.model import Column, ColumnType, TypedLayer

_KEY_TYPES = (ColumnType.BIGINT, ColumnType.TEXT)
"""What identifies things in files; a measurement or a moment that happens to be unique does not."""
_FIRST_LOOK_ROWS = 10_000


def unique_columns(
    layer: TypedLayer, *, among: Iterable[str] | None, scratch: Path
) -> tuple[str, ...]:
    """The columns without NULL and without a value that stands twice, of those ``among``.

    None asks for all columns that can be a key. Most are out after the first rows; the rest is
    looked at to the end.
    """
    asked = None if among is None else set(among)
    candidates = [
        column
        for column in layer.columns
        if column.type in _KEY_TYPES and (asked is None or column.name in asked)
    ]
    if not layer.row_count or not candidates:
        return ()
    with pq.ParquetFile(layer.path) as file:
        likely = _unique_at_first(file, candidates)
        return tuple(name for name in likely if _is_unique(file, name, layer.row_count, scratch))


def _unique_at_first(file: pq.ParquetFile, candidates: list[Column]) -> list[str]:
    names = [column.name for column in candidates]
    first = next(file.iter_batches(batch_size=_FIRST_LOOK_ROWS, columns=names))
    return [
        name
        for name in names
        if not first[name].null_count and pc.count_distinct(first[name]).as_py() == len(first)
    ]


def _is_unique(file: pq.ParquetFile, name: str, row_count: int, scratch: Path) -> bool:
    if row_count <= _FIRST_LOOK_ROWS:
        return True
    batches = file.iter_batches(batch_size=1 << 18, columns=[name])
    connection = engine.connect(scratch)
    try:
        seen = 0
        connection.execute("CREATE TABLE hashes (value UBIGINT)")
        for batch in batches:
            if batch[0].null_count:
                return False
            connection.register("rows", batch.rename_columns(["value"]))
            connection.execute("INSERT INTO hashes SELECT hash(value) FROM rows")
            connection.unregister("rows")
            seen += len(batch)
        found = connection.execute(
            "SELECT count(*) FROM (SELECT value FROM hashes GROUP BY value)"
        ).fetchone()
        return found is not None and found[0] == seen
    finally:
        connection.close()
