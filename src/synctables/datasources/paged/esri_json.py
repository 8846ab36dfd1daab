"""Esri JSON as GeoJSON: pure.

Sources: the ArcGIS REST API's "Geometry objects" and "Feature object"; RFC 7946. Polygons differ
most: Esri lists rings flat, exterior ones clockwise; GeoJSON nests holes in their polygon, exterior
rings counter-clockwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

Geometry = dict[str, Any]
Position = list[float]
Ring = list[Position]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RING_POSITIONS = 4


def to_geojson(feature: dict[str, Any]) -> dict[str, Any]:
    """A feature of a query's answer (``f=json``) as a GeoJSON Feature without id."""
    return {
        "type": "Feature",
        "properties": feature.get("attributes") or {},
        "geometry": to_geometry(feature.get("geometry")),
    }


def to_geometry(given: Geometry | None) -> Geometry | None:
    """A geometry in the same coordinates; None where it is empty (``"x": "NaN"`` included)."""
    if not given:
        return None
    if "x" in given:
        position = _position([given.get(axis) for axis in ("x", "y", "z")])
        return {"type": "Point", "coordinates": position} if position else None
    if "points" in given:
        positions = _positions(given["points"])
        return {"type": "MultiPoint", "coordinates": positions} if positions else None
    if "paths" in given:
        return _lines([_positions(path) for path in given["paths"]])
    if "rings" in given:
        return _polygons([_positions(ring) for ring in given["rings"]])
    return None


def iso_date(milliseconds: object) -> object:
    """Epoch milliseconds (UTC) as ISO 8601; whatever is none, or beyond year 9999, unchanged."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return milliseconds
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return milliseconds
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def has_only_numbers(coordinates: object) -> bool:
    """Whether nested coordinates are numbers throughout (a NaN was read as None)."""
    if isinstance(coordinates, list):
        return all(has_only_numbers(one) for one in coordinates)
    return _is_number(coordinates)


def _position(values: Sequence[Any]) -> Position | None:
    """Two or three numbers; None where x or y is none. A measure (m) has no place in GeoJSON."""
    if len(values) < len("xy") or not (_is_number(values[0]) and _is_number(values[1])):
        return None
    has_height = len(values) > len("xy") and _is_number(values[2])
    return list(values[:3] if has_height else values[:2])


def _positions(values: Sequence[Sequence[Any]]) -> list[Position]:
    return [position for value in values if (position := _position(value))]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lines(paths: list[list[Position]]) -> Geometry | None:
    lines = [path for path in paths if path]
    if len(lines) == 1:
        return {"type": "LineString", "coordinates": lines[0]}
    return {"type": "MultiLineString", "coordinates": lines} if lines else None


def _polygons(rings: list[Ring]) -> Geometry | None:
    """Each hole goes into the smallest exterior ring around it; one without becomes exterior."""
    closed = [_closed(ring) for ring in rings if ring]
    exteriors = [ring for ring in closed if _doubled_area(ring) <= 0]
    polygons = [[ring[::-1]] for ring in exteriors]
    for hole in (ring for ring in closed if _doubled_area(ring) > 0):
        around = [index for index, ring in enumerate(exteriors) if _is_within(hole, ring)]
        if around:
            smallest = min(around, key=lambda index: abs(_doubled_area(exteriors[index])))
            polygons[smallest].append(hole[::-1])
        else:
            polygons.append([hole])
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons} if polygons else None


def _closed(ring: Ring) -> Ring:
    return ring if len(ring) >= _RING_POSITIONS and ring[0] == ring[-1] else [*ring, ring[0]]


def _doubled_area(ring: Ring) -> float:
    """Shoelace formula, relative to the first position; negative where clockwise."""
    x, y = ring[0][:2]
    return sum(
        (one[0] - x) * (other[1] - y) - (other[0] - x) * (one[1] - y)
        for one, other in pairwise(ring)
    )


def _is_within(hole: Ring, exterior: Ring) -> bool:
    """By the first position of the hole that is no corner of the ring, else by an edge's middle."""
    corners = {tuple(position[:2]) for position in exterior}
    free = next((one for one in hole if tuple(one[:2]) not in corners), None)
    if free is None:
        free = [(hole[0][axis] + hole[1][axis]) / 2 for axis in (0, 1)]
    return _contains(exterior, free)


def _contains(ring: Ring, position: Position) -> bool:
    """Even-odd rule."""
    x, y = position[:2]
    is_inside = False
    for one, other in pairwise(ring):
        if (one[1] > y) != (other[1] > y):
            crossing = one[0] + (y - one[1]) * (other[0] - one[0]) / (other[1] - one[1])
            is_inside ^= x < crossing
    return is_inside
