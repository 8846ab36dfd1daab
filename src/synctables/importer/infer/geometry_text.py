"""Text as shapes: WKT and EWKT, hexadecimal (E)WKB, GeoJSON, fragments of KML."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import shapely
from numpy.typing import NDArray

from synctables.importer.infer.geometry import Shapes

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_MULTI_TYPES = {
    "Point": shapely.MultiPoint,
    "LineString": shapely.MultiLineString,
    "Polygon": shapely.MultiPolygon,
}


def shapes_of_texts(texts: list[str | None]) -> Shapes:
    """One shape for each text, with its SRID where the text names one; None where it is no shape.

    Mixed notations are fine; each text is told by its own first characters.
    """
    stripped = [(text or "").strip() for text in texts]
    notations = np.array([_notation(text) for text in stripped], dtype=object)
    shapes: Shapes = np.full(len(texts), None, dtype=object)
    for notation, read in _READERS.items():
        mask = notations == notation
        if mask.any():
            chosen = np.array(stripped, dtype=object)[mask]
            with np.errstate(invalid="ignore"):  # coordinates that are no numbers are told later
                shapes[mask] = read(chosen)
    return shapes


def _notation(text: str) -> str:
    if not text:
        return "blank"
    if text[0] == "{":
        return "geojson"
    if text[0] == "<":
        return "kml"
    if text[:5].upper() == "SRID=":
        return "ewkt"
    if len(text) >= 18 and len(text) % 2 == 0 and _HEX_DIGITS.issuperset(text[:18]):
        return "hex"
    return "wkt"


def _from_wkt(texts: NDArray[np.object_]) -> Shapes:
    shapes: Shapes = shapely.from_wkt(texts, on_invalid="ignore")
    return shapes


def _from_ewkt(texts: NDArray[np.object_]) -> Shapes:
    halves = [text[5:].partition(";") for text in texts]
    shapes = _from_wkt(np.array([half[2] for half in halves], dtype=object))
    for index, (srid, _, _) in enumerate(halves):
        if shapes[index] is not None:
            shapes[index] = _with_srid(shapes[index], srid)
    return shapes


def _with_srid(shape: shapely.Geometry, srid: str) -> shapely.Geometry | None:
    return shapely.set_srid(shape, int(srid)) if srid.isdecimal() and len(srid) < 7 else None


def _from_hex(texts: NDArray[np.object_]) -> Shapes:
    shapes: Shapes = shapely.from_wkb(texts, on_invalid="ignore")
    return shapes


def _from_geojson(texts: NDArray[np.object_]) -> Shapes:
    shapes: Shapes = shapely.from_geojson(texts, on_invalid="ignore")
    return shapes


def _from_kml(texts: NDArray[np.object_]) -> Shapes:
    return np.array([_kml_shape(text) for text in texts], dtype=object)


def _kml_shape(text: str) -> shapely.Geometry | None:
    if "<!" in text:
        return None  # no document types and entities: they are how XML reads files and blows up
    try:
        return _kml_geometry(ElementTree.fromstring(text))  # noqa: S314
    except (ElementTree.ParseError, ValueError, shapely.errors.GEOSException):
        return None


def _kml_geometry(element: ElementTree.Element) -> shapely.Geometry | None:
    match element.tag.rpartition("}")[2]:
        case "Point":
            (place,) = _kml_coordinates(element)
            return shapely.Point(place)
        case "LineString":
            return shapely.LineString(_kml_coordinates(element))
        case "Polygon":
            return _kml_polygon(element)
        case "MultiGeometry":
            return _kml_multi([_kml_geometry(part) for part in element])
        case _:
            return None


def _kml_polygon(element: ElementTree.Element) -> shapely.Polygon:
    outer = [
        _kml_coordinates(ring) for ring in element.iterfind("{*}outerBoundaryIs/{*}LinearRing")
    ]
    inner = [
        _kml_coordinates(ring) for ring in element.iterfind("{*}innerBoundaryIs/{*}LinearRing")
    ]
    if len(outer) != 1:
        raise ValueError("a polygon has one outer boundary")
    return shapely.Polygon(outer[0], inner)


def _kml_multi(parts: list[shapely.Geometry | None]) -> shapely.Geometry:
    if not parts or any(part is None for part in parts):
        raise ValueError("a part that is no geometry")
    kinds = {part.geom_type for part in parts if part is not None}
    gather = _MULTI_TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    return (gather or shapely.GeometryCollection)(parts)


def _kml_coordinates(element: ElementTree.Element) -> list[tuple[float, ...]]:
    """Tuples of longitude, latitude and perhaps altitude, which is left out."""
    text = element.findtext("{*}coordinates") or ""
    return [tuple(float(number) for number in entry.split(",")[:2]) for entry in text.split()]


_READERS = {
    "wkt": _from_wkt,
    "ewkt": _from_ewkt,
    "hex": _from_hex,
    "geojson": _from_geojson,
    "kml": _from_kml,
}
