"""Which GDAL driver reads which format, how, and what is done to a file before.

A driver is only ever given a file whose content was recognised as its own (`detect`). What a
driver would fetch or open beside that file is switched off, or refused here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyogrio
from pyogrio.errors import DataSourceError

from synctables.errors import EmptyFileError, RasterError
from synctables.importer.model import Decision, Format, Member, Misfit
from synctables.importer.read import mapinfo, shapefile
from synctables.importer.read.encoding import decode_file
from synctables.importer.read.kml import refuse_mere_link
from synctables.importer.read.names import with_suffix
from synctables.importer.read.rasters import raster_error
from synctables.importer.read.wholeness import refuse_cut_off

DRIVER_OF: dict[Format, str] = {
    "geojson": "GeoJSON",
    "geojsonseq": "GeoJSONSeq",
    "topojson": "TopoJSON",
    "esrijson": "ESRIJSON",
    "shapefile": "ESRI Shapefile",
    "mapinfo": "MapInfo File",
    "gpkg": "GPKG",
    "filegdb": "OpenFileGDB",
    "flatgeobuf": "FlatGeobuf",
    "kml": "LIBKML",
    "gpx": "GPX",
    "gml": "GML",
    "osm": "OSM",
}
OPEN_OPTIONS: dict[Format, dict[str, str]] = {
    "geojson": {"DATE_AS_STRING": "YES", "ARRAY_AS_STRING": "YES"},
}
_JSON = {"geojson", "geojsonseq", "topojson", "esrijson"}
_ONE_LAYER = {"geojson", "geojsonseq", "esrijson", "shapefile", "mapinfo", "flatgeobuf"}
_OSM_LAYERS = {
    "points": "SELECT * FROM points",
    "lines": "SELECT * FROM lines",
    "multilinestrings": "SELECT * FROM multilinestrings",
    "multipolygons": "SELECT * FROM multipolygons",
}
"""GDAL's fifth, ``other_relations``, is no layer of the reference (section 3.4)."""

_TILES = "a GeoPackage of raster tiles only"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What GDAL is to open, and what was found on the way there."""

    path: Path
    encoding: str | None = None
    decisions: tuple[Decision, ...] = ()
    misfits: tuple[Misfit, ...] = ()


def prepare(kind: Format, member: Member) -> Source:
    """The member as its driver can read it. Raises the format's own errors."""
    if kind == "shapefile":
        encoding, notes = shapefile.inspect(member.path)
        return Source(path=member.path, encoding=encoding, decisions=notes)
    if kind in _JSON:
        return _in_utf8(member)
    if kind == "kml":
        refuse_mere_link(member.path)
    elif kind == "mapinfo":
        mapinfo.refuse_incomplete(member.path)
    elif kind in {"osm", "gml"}:
        refuse_cut_off(member.path)
    elif kind == "gpkg":
        return Source(path=with_suffix(member.path, ".gpkg"))
    return Source(path=member.path)


def layer_names(kind: Format, member: Member, path: Path) -> list[str | None]:
    """Layers to look at; None is the only one of a format that has no more (saves a pass)."""
    if kind in _ONE_LAYER:
        return [None]
    if kind == "osm":
        return list(_OSM_LAYERS)
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(str(path))]
    except DataSourceError:
        if kind == "gpkg" and _has_tiles(path):  # for GDAL, one without vector layers is none
            raise raster_error(member.name, _TILES) from None
        raise
    if kind == "gpkg":
        unsafe = _unsafe_names(path)
        names = [name for name in names if name not in unsafe]
        if not names:
            raise _explain_empty(path, member)
    if kind == "gpx":
        names = [name for name in names if _count_rows(path, name)]
    if not names:
        raise EmptyFileError(f"{member.name} holds no layers.")
    return list(names)


def statement_for(kind: Format, name: object) -> str | None:
    """The statement through which a layer is read instead of by its name, if any.

    OSM keeps its layers interleaved; a statement tells GDAL that the others are not wanted, and
    so need not be kept in memory meanwhile.
    """
    return _OSM_LAYERS.get(str(name)) if kind == "osm" else None


def _in_utf8(member: Member) -> Source:
    """JSON is UTF-8 (RFC 8259, 8.1), but not all writers know; GDAL takes nothing else."""
    decoded = decode_file(member.path, scratch=member.path.with_suffix(".utf8"))
    notes = []
    if decoded.encoding != "utf-8":
        note = Decision(subject="encoding", choice=decoded.encoding, reason=decoded.reason)
        notes.append(note)
    return Source(path=decoded.path, decisions=tuple(notes), misfits=decoded.misfits)


def _count_rows(path: Path, name: str) -> int:
    return int(pyogrio.read_info(str(path), layer=name, force_feature_count=True)["features"])


def _unsafe_names(path: Path) -> set[str]:
    """Virtual tables, and views that may never end; whoever wrote the file chose their SQL."""
    query = """SELECT name FROM sqlite_master WHERE type IN ('view', 'table')
               AND (sql LIKE '%recursive%' OR sql LIKE 'create virtual table%')"""
    return {str(name) for (name,) in _select(path, query)}


def _explain_empty(path: Path, member: Member) -> RasterError | EmptyFileError:
    if _has_tiles(path):
        return raster_error(member.name, _TILES)
    return EmptyFileError(f"{member.name} holds no layers.")


def _has_tiles(path: Path) -> bool:
    query = "SELECT 1 FROM gpkg_contents WHERE data_type IN ('tiles', '2d-gridded-coverage')"
    return bool(_select(path, query))


def _select(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(query).fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return []
    finally:
        connection.close()
