"""Which of the many formats that are JSON a text is, by the keys of its first object."""

from __future__ import annotations

import json
import re

from synctables.errors import UnsupportedFileError
from synctables.importer.model import Format, Member

RECORD_SEPARATOR = "\x1e"
"""Stands before every text of a sequence (RFC 7464)."""
LINE_SUFFIXES = {".geojsonl", ".geojsons", ".geojsonseq", ".ndjson", ".jsonl", ".ldjson"}

_GEOMETRIES = frozenset(
    (
        *("GeometryCollection", "Point", "MultiPoint", "LineString", "MultiLineString"),
        *("Polygon", "MultiPolygon"),
    )
)
_GEOJSON = _GEOMETRIES | {"FeatureCollection", "Feature"}
_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{\]"\d-])')
_KEYED = re.compile(r'\s*(\{\s*"[^"\n]*"\s*:|\[\s*\{\s*["}]|\{\s*\}\s*$|\[\s*\]\s*$)')
_TYPE = re.compile(r'"type"\s*:\s*"([^"]{0,40})"')
_ESRI = re.compile(r'"geometryType"\s*:\s*"esri|"spatialReference"\s*:|"fieldAliases"\s*:')
_ESRI_FEATURES = re.compile(r'"features"\s*:\s*\[|"geometryType"\s*:\s*"esri')
"""The second, because the list of a thousand fields may fill all that is looked at."""
_JSON_SUFFIXES = {".geojson", ".json", ".topojson"} | LINE_SUFFIXES


def detect_json(member: Member, text: str) -> Format | None:
    """The format, or None for what is no JSON. ``text``: the member's beginning.

    Raises `UnsupportedFileError` for JSON that is no table.
    """
    text = text.lstrip(RECORD_SEPARATOR + " \t\r\n")
    if not _START.match(text):
        return None
    if text.startswith("{"):
        found = _of_object(member, text)
    else:
        found = "json" if re.match(r"\[\s*(?:\{|\]\s*$)", text) else None
    if found:
        return found
    if member.path.suffix == ".geojson":
        raise UnsupportedFileError(f"{member.name} holds JSON, but no GeoJSON features.")
    if member.path.suffix in _JSON_SUFFIXES or _KEYED.match(text):
        raise UnsupportedFileError(f"{member.name} is JSON, but no list of objects.")
    return None


def _of_object(member: Member, text: str) -> Format | None:
    first, rest = _split(text)
    has_more = rest.startswith("{")
    is_lines = has_more or (not rest and member.path.suffix in LINE_SUFFIXES)
    if first is None:
        return _of_beginning(member, text)
    kind = first.get("type")
    if kind == "Topology":
        return "topojson"
    if isinstance(kind, str) and kind in _GEOJSON:
        is_sequence = kind != "FeatureCollection" and is_lines
        return "geojsonseq" if is_sequence else "geojson"
    if isinstance(first.get("features"), list) and _ESRI.search(text):
        return "esrijson"
    return "json" if is_lines else None


def _of_beginning(member: Member, text: str) -> Format | None:
    """For an object that is longer than what was looked at."""
    types = _TYPE.findall(text)
    if "Topology" in types[:1] or (types and re.search(r'"arcs"\s*:', text)):
        return "topojson"
    if _ESRI_FEATURES.search(text) and _ESRI.search(text) and "FeatureCollection" not in types:
        return "esrijson"
    if any(found in _GEOJSON for found in types):
        is_sequence = "FeatureCollection" not in types and member.path.suffix in LINE_SUFFIXES
        return "geojsonseq" if is_sequence else "geojson"
    return "json" if member.path.suffix in LINE_SUFFIXES else None


def _split(text: str) -> tuple[dict[str, object] | None, str]:
    """The first object (None where it is cut off or broken), and what follows it."""
    try:
        first, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return first, text[end:].lstrip(RECORD_SEPARATOR + " \t\r\n")
