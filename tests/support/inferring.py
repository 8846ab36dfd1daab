"""The infer stage on rows made by hand: what it decided, and what it wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import shapely

from synctables.importer.infer import infer, typed_file
from synctables.importer.model import (
    Column,
    Field,
    Format,
    Layer,
    Layers,
    Limits,
    Member,
    ReadOptions,
    TypedLayer,
)
from tests.support.arrow_files import read_typed_file

LIMITS = Limits(max_bytes=1 << 30)


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """A typed layer and the rows of its file."""

    layer: TypedLayer
    table: pa.Table

    @property
    def columns(self) -> dict[str, Column]:
        return {column.name: column for column in self.layer.columns}

    @property
    def types(self) -> dict[str, str]:
        return {column.name: str(column.type) for column in self.layer.columns}

    def values(self, name: str) -> list[Any]:
        return list(self.table.column(name).to_pylist())

    def shapes(self, name: str = "the_geom") -> list[str | None]:
        """A geometry column as WKT."""
        shapes = shapely.from_wkb(self.values(name))
        return [None if shape is None else shapely.to_wkt(shape) for shape in shapes]

    def decision(self, subject: str) -> str:
        """The first decision about a subject, choice and reason."""
        found = [d for d in self.layer.decisions if d.subject == subject]
        return f"{found[0].choice}: {found[0].reason}" if found else ""


def infer_columns(
    fields: Mapping[str, pa.Array | Sequence[str | None]] | Sequence[tuple[str, Any]],
    *,
    options: ReadOptions | None = None,
    file_format: Format = "csv",
    chunk_rows: int | None = None,
    quoted: frozenset[str] = frozenset(),
    shapes: Sequence[shapely.Geometry | None] | None = None,
    crs: str | None = None,
    replace_wkb: Mapping[int, bytes] | None = None,
) -> Inferred:
    """Run infer on one layer. Lists are text to guess; Arrow arrays come as they are.

    ``chunk_rows``: how many rows are worked on at once; None: as many as infer likes.
    ``replace_wkb``: bytes to put in the place of some shapes, by their index.
    """
    items = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
    arrays = [_array(values) for _, values in items]
    names = [f"f{index}" for index in range(len(arrays))]
    if shapes is not None:
        blobs = {index: _wkb(shape) for index, shape in enumerate(shapes)} | dict(replace_wkb or {})
        arrays.append(pa.array(blobs.values(), pa.binary()))
        names.append("geometry")
    table = pa.table(arrays, names=names)
    layer = Layer(
        name="layer",
        member=Member(name="layer.csv", path=Path("layer.csv"), size_bytes=0),
        format=file_format,
        fields=tuple(
            Field(
                name=name,
                is_text_to_guess=not isinstance(values, pa.Array),
                is_quoted=name in quoted,
            )
            for name, values in items
        ),
        has_geometry=shapes is not None,
        crs=crs,
        table_name="layer",
    )
    return _run(layer, table, options or ReadOptions(), chunk_rows)


def infer_values(values: Sequence[str | None], **arguments: Any) -> Inferred:
    """One column of text, called ``x``."""
    return infer_columns({"x": values}, **arguments)


def _run(layer: Layer, table: pa.Table, options: ReadOptions, chunk_rows: int | None) -> Inferred:
    def open_batches(_: Layer) -> pa.RecordBatchReader:
        batches = table.to_batches(max_chunksize=chunk_rows)
        return pa.RecordBatchReader.from_batches(table.schema, iter(batches))

    merged = chunk_rows or typed_file.MERGE_ROWS
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(typed_file, "MERGE_ROWS", merged),
    ):
        typed = infer(
            Layers(layers=(layer,)),
            open_batches,
            options,
            into=Path(folder),
            limits=LIMITS,
            on_rows=lambda _: None,
        )
        only = typed.layers[0]
        return Inferred(layer=only, table=read_typed_file(only.path))


def _array(values: pa.Array | Sequence[str | None]) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(list(values), pa.string())


def _wkb(shape: shapely.Geometry | None) -> bytes | None:
    return None if shape is None else shapely.to_wkb(shape)
