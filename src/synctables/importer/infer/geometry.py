"""Shapes in any coordinate system to ``the_geom`` (4326) and ``the_geom_webmercator`` (3857)."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from synctables.errors import UnknownSridError
from synctables.importer.infer.points import Points, point_columns
from synctables.importer.infer.projection import (
    WEBMERCATOR,
    WGS84,
    Coordinates,
    crs_name,
    transform_to_degrees,
    webmercator,
)
from synctables.importer.infer.report import EXAMPLE_COUNT, Misfits
from synctables.importer.model import ASSUMED_CRS, GEOMETRY_COLUMN, Decision

Shapes: TypeAlias = NDArray[Any]
"""shapely geometries or None, in an object array."""
_UNKNOWN_MOST = [180.0, 90.0]
_ASSUMED_MOST = [540.0, 90.001]
"""GeoJSON means degrees; shapes across the antimeridian and rounded poles do not refute it."""
_POINT = 0
_POLYGONAL = (3, 6)
_TYPE_NAMES = {
    0: "Point",
    1: "LineString",
    2: "LinearRing",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}


class GeometryWriter:
    """Turns chunks of shapes into the two geometry columns and counts what happened on the way."""

    def __init__(self, crs: str | None) -> None:
        """``crs``: as in `synctables.importer.model.Layer`. Raises UnknownSridError."""
        self._crs = crs
        self._to_wgs84 = transform_to_degrees(crs)
        self._may_be_no_degrees = crs in {None, ASSUMED_CRS}
        self._types: set[str] = set()
        self._counts: Counter[str] = Counter()

    @property
    def geometry_types(self) -> tuple[str, ...]:
        return tuple(sorted(self._types))

    def columns(
        self,
        shapes: Shapes,
        misfits: Misfits,
        *,
        first_row: int,
        is_declared: NDArray[np.bool_] | None = None,
    ) -> tuple[pa.BinaryArray, pa.BinaryArray]:
        """``the_geom`` and ``the_geom_webmercator`` of a chunk, as EWKB.

        ``is_declared``: which shapes name their own coordinate system (and are in degrees now).
        """
        with np.errstate(invalid="ignore"):  # coordinates that are no numbers are told below
            return self._columns(shapes, misfits, first_row, is_declared)

    def _columns(
        self,
        shapes: Shapes,
        misfits: Misfits,
        first_row: int,
        is_declared: NDArray[np.bool_] | None,
    ) -> tuple[pa.BinaryArray, pa.BinaryArray]:
        flat = self._flattened(shapes)
        projected = self._projected(flat)
        placed = self._without_misplaced(projected, flat, misfits, first_row)
        if self._may_be_no_degrees:
            undeclared = placed if is_declared is None else placed[~is_declared]
            rows = np.arange(len(placed)) if is_declared is None else np.flatnonzero(~is_declared)
            self._refuse_outside(shapely.bounds(undeclared), rows + first_row)
        valid = self._repaired(placed, misfits, first_row)
        present = valid[~shapely.is_missing(valid)]
        self._types.update(
            _TYPE_NAMES[number] for number in np.unique(shapely.get_type_id(present))
        )
        mercator = shapely.transform(valid, webmercator, interleaved=False)
        return _ewkb(valid, WGS84), _ewkb(mercator, WEBMERCATOR)

    def columns_of_points(
        self, points: Points, *, first_row: int
    ) -> tuple[pa.BinaryArray, pa.BinaryArray] | None:
        """As `columns`, quickly; None if some point has no place on Earth."""
        if self._to_wgs84 is not None:
            x, y = self._to_wgs84(points.x, points.y)
            points = Points(x=x, y=y, present=points.present)
            if not (np.isfinite(x) & np.isfinite(y)).all():
                return None
        if self._may_be_no_degrees:
            rows = np.flatnonzero(points.present) + first_row
            self._refuse_outside(np.column_stack([points.x, points.y]), rows)
        if len(points.x):
            self._types.add(_TYPE_NAMES[_POINT])
        return point_columns(points)

    def decisions(self, *, named_by_values: bool = False) -> tuple[Decision, ...]:
        """What was decided about all shapes, for the report.

        ``named_by_values``: the values themselves name their coordinate systems.
        """
        is_told = not self._may_be_no_degrees
        reason = "as in the file" if is_told else "the file names none; all are in range"
        crs = Decision(
            subject="coordinate system",
            choice=crs_name(self._crs) if self._crs else f"EPSG:{WGS84}",
            reason="as each value says" if named_by_values else reason,
        )
        notes = (
            Decision(subject="geometry", choice=choice, reason=f"{count:,} shapes")
            for choice, count in sorted(self._counts.items())
        )
        return (crs, *notes)

    def _refuse_outside(self, coordinates: Coordinates, rows: NDArray[np.intp]) -> None:
        """Without a coordinate system shapes are in degrees only if all of them can be.

        ``coordinates``: x and y pairs (bounds have two of them) of these ``rows`` of the file.
        """
        most = _ASSUMED_MOST if self._crs else _UNKNOWN_MOST
        limits = np.tile(most, coordinates.shape[1] // 2)
        outside = np.flatnonzero((np.abs(coordinates) > limits).any(axis=1))
        if len(outside):
            x, y = coordinates[outside[0]][:2]
            raise UnknownSridError(
                f"The file names no coordinate system, and row {rows[outside[0]]:,} lies at "
                f"{x:g}, {y:g}, which are no degrees."
            )

    def _flattened(self, shapes: Shapes) -> Shapes:
        """Two dimensions, and NULL for empty shapes."""
        has_more = shapely.has_z(shapes) | shapely.has_m(shapes)
        self._count("Z and M values dropped", has_more)
        empty = shapely.is_empty(shapes)
        self._count("empty shapes are NULL", empty)
        flat: Shapes = shapely.force_2d(shapes) if has_more.any() else shapes.copy()
        flat[empty] = None
        return flat

    def _projected(self, shapes: Shapes) -> Shapes:
        if self._to_wgs84 is None:
            return shapes
        projected: Shapes = shapely.transform(shapes, self._to_wgs84, interleaved=False)
        return projected

    def _without_misplaced(
        self, projected: Shapes, source: Shapes, misfits: Misfits, first_row: int
    ) -> Shapes:
        """NULL for shapes with coordinates that are no numbers, or that have no place on Earth."""
        bounds = shapely.bounds(projected)
        present = ~shapely.is_missing(projected)
        misplaced = present & ~np.isfinite(bounds).all(axis=1) | present & _has_nonfinite(projected)
        indexes = np.flatnonzero(misplaced)
        report_shapes(misfits, "coordinates without a place", indexes, source, first_row)
        placed = projected.copy()
        placed[misplaced] = None
        return placed

    def _repaired(self, shapes: Shapes, misfits: Misfits, first_row: int) -> Shapes:
        polygonal = np.isin(shapely.get_type_id(shapes), _POLYGONAL)
        broken = polygonal.copy()
        broken[polygonal] = ~shapely.is_valid(shapes[polygonal])
        if not broken.any():
            return shapes
        indexes = np.flatnonzero(broken)
        report_shapes(misfits, "invalid polygon, repaired", indexes, shapes, first_row)
        repaired = shapes.copy()
        repaired[broken] = _make_valid(shapes[broken])
        return repaired

    def _count(self, note: str, mask: NDArray[np.bool_]) -> None:
        count = int(mask.sum())
        if count:
            self._counts[note] += count


def reproject_by_srid(shapes: Shapes) -> tuple[Shapes, NDArray[np.bool_]]:
    """Shapes that name a coordinate system by SRID in degrees, and which shapes did so.

    Raises UnknownSridError.
    """
    srids = shapely.get_srid(shapes)
    degrees = shapes.copy()
    for srid in np.unique(srids[srids > 0]):
        transform = transform_to_degrees(f"EPSG:{srid}")
        if transform is not None:
            mask = srids == srid
            degrees[mask] = shapely.transform(shapes[mask], transform, interleaved=False)
    return degrees, srids > 0


def _make_valid(shapes: Shapes) -> Shapes:
    """Valid shapes of the same area; a polygon without any becomes the line that it is."""
    repaired: Shapes = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    collapsed = shapely.is_empty(repaired)
    repaired[collapsed] = shapely.make_valid(shapes[collapsed])
    return repaired


def _has_nonfinite(shapes: Shapes) -> NDArray[np.bool_]:
    """Whether any coordinate of a shape is no finite number (bounds skip NaN)."""
    found = np.zeros(len(shapes), dtype=bool)
    if np.isfinite(shapely.get_coordinates(shapes)).all():
        return found
    coordinates, indexes = shapely.get_coordinates(shapes, return_index=True)
    found[indexes[~np.isfinite(coordinates).all(axis=1)]] = True
    return found


def report_shapes(
    misfits: Misfits, reason: str, indexes: NDArray[np.intp], shapes: Shapes, first_row: int
) -> None:
    """Report the shapes at these indexes of a chunk as misfits of the geometry."""
    if len(indexes):
        shown = indexes[:EXAMPLE_COUNT]
        cells = [(first_row + int(index), shapely.to_wkt(shapes[index])) for index in shown]
        misfits.add(GEOMETRY_COLUMN, reason, cells, len(indexes))


def _ewkb(shapes: Shapes, srid: int) -> pa.BinaryArray:
    """Little-endian EWKB with SRID, the form in which PostGIS keeps and sends it."""
    blobs = shapely.to_wkb(
        shapely.set_srid(shapes, srid), output_dimension=2, byte_order=1, include_srid=True
    )
    return pa.array(blobs, pa.binary())
