"""Shapes in any coordinate system to ``the_geom`` (4326) and ``the_geom_webmercator`` (3857)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from synctables.errors import UnknownSridError
from synctables.importer.infer.report import EXAMPLE_COUNT, Misfits, shorten
from synctables.importer.model import GEOMETRY_COLUMN, Decision

Shapes: TypeAlias = NDArray[Any]
"""shapely geometries or None, in an object array."""
Coordinates: TypeAlias = NDArray[np.float64]

WGS84 = 4326
WEBMERCATOR = 3857
MAX_LATITUDE = 85.0511287798066
"""Where webmercator's square ends: beyond it latitudes are clamped, since 90° is infinitely far."""
_EARTH_RADIUS_METRES = 6_378_137.0
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


def webmercator(longitude: Coordinates, latitude: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Degrees to webmercator metres, defined and finite for every finite coordinate.

    The same rule as in the database's trigger (refresh.md 13): the latitude is clamped to
    ±`MAX_LATITUDE`; the longitude is left, so that shapes across the antimeridian stay whole.
    """
    clamped = np.radians(np.clip(latitude, -MAX_LATITUDE, MAX_LATITUDE))
    x = np.radians(longitude) * _EARTH_RADIUS_METRES
    y = np.log(np.tan(np.pi / 4 + clamped / 2)) * _EARTH_RADIUS_METRES
    return x, y


class GeometryWriter:
    """Turns chunks of shapes into the two geometry columns and counts what happened on the way."""

    def __init__(self, crs: str | None) -> None:
        """``crs``: as in `synctables.importer.model.Layer`. Raises UnknownSridError."""
        self._crs = crs
        self._to_wgs84 = _transformer(crs)
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
        if self._crs is None:
            _refuse_out_of_range(placed, is_declared, first_row)
        valid = self._repaired(placed, misfits, first_row)
        present = valid[~shapely.is_missing(valid)]
        self._types.update(
            _TYPE_NAMES[number] for number in np.unique(shapely.get_type_id(present))
        )
        mercator = shapely.transform(valid, webmercator, interleaved=False)
        return _ewkb(valid, WGS84), _ewkb(mercator, WEBMERCATOR)

    def decisions(self) -> tuple[Decision, ...]:
        """What was decided about all shapes, for the report."""
        crs = Decision(
            subject="coordinate system",
            choice=_crs_name(self._crs),
            reason="as in the file" if self._crs else "the file names none; all are in range",
        )
        notes = (
            Decision(subject="geometry", choice=choice, reason=f"{count:,} shapes")
            for choice, count in sorted(self._counts.items())
        )
        return (crs, *notes)

    def _flattened(self, shapes: Shapes) -> Shapes:
        """Two dimensions, and NULL for empty shapes."""
        has_more = shapely.has_z(shapes) | shapely.has_m(shapes)
        self._count("Z and M values dropped", has_more)
        empty = shapely.is_empty(shapes)
        self._count("empty shapes are NULL", empty)
        flat: Shapes = shapely.force_2d(shapes)
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


def _refuse_out_of_range(
    shapes: Shapes, is_declared: NDArray[np.bool_] | None, first_row: int
) -> None:
    """Without a coordinate system shapes are in degrees only if all of them can be."""
    bounds = shapely.bounds(shapes)
    outside = (np.abs(bounds) > np.array([180, 90, 180, 90])).any(axis=1)
    if is_declared is not None:
        outside &= ~is_declared
    if outside.any():
        index = int(np.flatnonzero(outside)[0])
        x, y = bounds[index][:2]
        raise UnknownSridError(
            f"The file names no coordinate system, and row {first_row + index:,} lies at "
            f"{x:g}, {y:g}, which are no degrees."
        )


def reproject_by_srid(shapes: Shapes) -> tuple[Shapes, NDArray[np.bool_]]:
    """Shapes that name a coordinate system by SRID in degrees, and which shapes did so.

    Raises UnknownSridError.
    """
    srids = shapely.get_srid(shapes)
    degrees = shapes.copy()
    for srid in np.unique(srids[srids > 0]):
        transform = _transformer(f"EPSG:{srid}")
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
    coordinates, indexes = shapely.get_coordinates(shapes, return_index=True)
    found = np.zeros(len(shapes), dtype=bool)
    found[indexes[~np.isfinite(coordinates).all(axis=1)]] = True
    return found


def _transformer(
    crs: str | None,
) -> Callable[[Coordinates, Coordinates], tuple[Coordinates, Coordinates]] | None:
    """The function from ``crs`` to degrees; None where the coordinates are degrees already."""
    if crs is None:
        return None
    try:
        source = pyproj.CRS.from_user_input(crs)
        target = pyproj.CRS.from_epsg(WGS84)
        if source.equals(target, ignore_axis_order=True):
            return None
        transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise UnknownSridError(
            f"The coordinate system of the file is unknown: {shorten(crs)}"
        ) from error
    return transformer.transform


def _crs_name(crs: str | None) -> str:
    if crs is None:
        return "EPSG:4326"
    source = pyproj.CRS.from_user_input(crs)
    authority = source.to_authority()
    return ":".join(authority) if authority else source.name


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
