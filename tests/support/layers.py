"""Typed layers made by hand, as the infer stage would write them, for tests of what follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from synctables.importer.infer.row_hashes import SIGNATURE_TAG, HashedColumn, row_hashes
from synctables.importer.model import HASH_COLUMNS, Column, ColumnType, TypedLayer
from tests.support.arrow_files import write_typed_file

ARROW_TYPES = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.BIGINT: pa.int64(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.NUMERIC: pa.decimal128(30, 6),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    ColumnType.TIME: pa.time64("us"),
    ColumnType.TEXT: pa.string(),
    ColumnType.JSONB: pa.string(),
    ColumnType.BYTEA: pa.binary(),
}

MakeLayer = Callable[..., TypedLayer]


@pytest.fixture
def make_layer(tmp_path: Path) -> MakeLayer:
    """``make_layer({"name": ColumnType.TEXT}, [("a",), …], points=[(x, y), None, …])``."""
    numbers = iter(range(1_000_000))

    def make(
        types: dict[str, ColumnType],
        rows: Sequence[tuple[Any, ...]],
        points: Sequence[tuple[float, float] | None] | None = None,
        name: str = "layer",
    ) -> TypedLayer:
        path = tmp_path / f"{next(numbers)}.arrow"
        located = [None] * len(rows) if points is None else points
        shapes = [None if point is None else shapely.Point(point) for point in located]
        return write_layer(path, types, rows, shapes, name=name)

    return make


def write_layer(
    path: Path,
    types: dict[str, ColumnType],
    rows: Sequence[tuple[Any, ...]],
    shapes: Sequence[shapely.Geometry | None],
    *,
    name: str = "layer",
    numeric: pa.DataType = ARROW_TYPES[ColumnType.NUMERIC],
    batch_rows: int | None = None,
) -> TypedLayer:
    """A layer of these rows, in this file. ``numeric``: how wide its numbers happen to be."""
    arrow_types = {**ARROW_TYPES, ColumnType.NUMERIC: numeric}
    arrays = [
        pa.array([row[i] for row in rows], arrow_types[type_])
        for i, type_ in enumerate(types.values())
    ]
    place = HashedColumn(name="the_geom", kind="geometry", values=_wkb(shapes, 4326))
    hashed = [
        HashedColumn(name=name, kind=type_, values=values)
        for (name, type_), values in zip(types.items(), arrays, strict=True)
    ]
    arrays = [place.values, _wkb(shapes, 3857), *arrays, *row_hashes([place, *hashed])]
    names = ["the_geom", "the_geom_webmercator", *types, *HASH_COLUMNS]
    write_typed_file(path, pa.table(arrays, names=names), batch_rows=batch_rows)
    return TypedLayer(
        name=name,
        path=path,
        columns=tuple(Column(name=n, field=n, type=t) for n, t in types.items()),
        row_count=len(rows),
        signature_tag=SIGNATURE_TAG,
    )


def _wkb(shapes: Sequence[shapely.Geometry | None], srid: int) -> pa.Array:
    return pa.array(
        [
            None
            if shape is None
            else shapely.to_wkb(shapely.set_srid(shape, srid), include_srid=True, byte_order=1)
            for shape in shapes
        ],
        pa.binary(),
    )
