"""Where a layer's geometry comes from: its own shapes, a column of text, or two of degrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from synctables.errors import InvalidGeometriesError
from synctables.importer.infer.geometry import GeometryWriter
from synctables.importer.infer.report import Misfits
from synctables.importer.model import Decision, Layer, ReadOptions


class GeometryReader(Protocol):
    """Reads the geometry of a layer, chunk by chunk, once through."""

    @property
    def consumed(self) -> frozenset[int]:
        """Fields that become geometry and no column."""

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> tuple[pa.Array, pa.Array]:
        """``the_geom`` and ``the_geom_webmercator`` of a chunk."""

    def rejection(self) -> str | None:
        """After the last chunk: why this was no geometry after all; None: it was."""

    @property
    def geometry_types(self) -> tuple[str, ...]:
        """Names of the types seen, sorted."""

    def decisions(self) -> tuple[Decision, ...]:
        """What was decided, for the report."""


class NoGeometry:
    """A layer of plain rows."""

    consumed: frozenset[int] = frozenset()
    geometry_types: tuple[str, ...] = ()

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> tuple[pa.Array, pa.Array]:
        nothing = pa.nulls(len(chunk), pa.binary())
        return nothing, nothing

    def rejection(self) -> str | None:
        return None

    def decisions(self) -> tuple[Decision, ...]:
        return ()


class OwnGeometry:
    """The WKB column of a geospatial format."""

    consumed: frozenset[int] = frozenset()

    def __init__(self, crs: str | None) -> None:
        self._writer = GeometryWriter(crs)

    @property
    def geometry_types(self) -> tuple[str, ...]:
        return self._writer.geometry_types

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> tuple[pa.Array, pa.Array]:
        wkb = chunk.column("geometry")
        blobs = pc.cast(wkb.storage if isinstance(wkb, pa.ExtensionArray) else wkb, pa.binary())
        shapes = shapely.from_wkb(blobs.to_numpy(zero_copy_only=False), on_invalid="fix")
        broken = shapely.is_missing(shapes) & pc.is_valid(blobs).to_numpy(zero_copy_only=False)
        if broken.any():
            row = first_row + int(np.flatnonzero(broken)[0])
            raise InvalidGeometriesError(
                f"{int(broken.sum()):,} shapes cannot be read, the first in row {row:,}."
            )
        return self._writer.columns(shapes, misfits, first_row=first_row)

    def rejection(self) -> str | None:
        return None

    def decisions(self) -> tuple[Decision, ...]:
        return self._writer.decisions()


def geometry_candidates(layer: Layer, options: ReadOptions) -> list[Callable[[], GeometryReader]]:
    """What to try as geometry, best first; each call starts a reader. The last never fails."""
    if layer.has_geometry:
        return [lambda: OwnGeometry(layer.crs)]
    return [NoGeometry]
