"""Descriptions of other data, for drivers of GDAL that follow them, under every suffix."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.traps import filled
from tests.support.archive_files import ARCHIVES

_VRT = (
    '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource relativeToVRT="0">{source}'
    "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
)
TRICKS = {
    "VRT of the secret": _VRT.replace("{source}", "{secret}"),
    "VRT of an address": _VRT.replace("{source}", "/vsicurl/http://127.0.0.1:{port}/a.csv"),
    "VRT of a statement": '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{secret}'
    "</SrcDataSource><SrcSQL>SELECT * FROM secret</SrcSQL></OGRVRTLayer></OGRVRTDataSource>",
    "raster VRT": '<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" '
    'band="1"><SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>'
    "</VRTRasterBand></VRTDataset>",
    "WFS": "<OGRWFSDataSource><URL>http://127.0.0.1:{port}/wfs</URL></OGRWFSDataSource>",
    "WMS": "<GDAL_WMS><Service name='WMS'><ServerUrl>http://127.0.0.1:{port}/</ServerUrl>"
    "</Service></GDAL_WMS>",
    "GDALG": '{"type": "gdal_streamed_alg", "command_line": "gdal vector convert {secret}"}',
    "STAC": '{"type": "FeatureCollection", "stac_version": "1.0.0", "features": [{"type": '
    '"Feature", "assets": {"a": {"href": "http://127.0.0.1:{port}/a.tif"}}, "properties": '
    '{"a": 1}, "geometry": null}]}',
    "a connection": "PG:host=127.0.0.1 port={port}",
    "an address": "http://127.0.0.1:{port}/a.csv",
    "a path of GDAL": "/vsizip/{secret}",
    "foreign tables": '{"type": "Topology", "arcs": [], "objects": {"a": {"type": "Point", "href": '
    '"file://{secret}"}}}',
}
_SUFFIXES = (
    *(
        "csv",
        "txt",
        "json",
        "geojson",
        "kml",
        "gpx",
        "gml",
        "osm",
        "xml",
        "vrt",
        "gpkg",
        "shp",
        "tab",
    ),
    *("mif", "fgb", "parquet", "xlsx", "ods", "xls", "gdb", "dbf", "prj", "topojson", ""),
)
_ARCHIVES = ("zip", "tar", "tgz", "7z", "rar")
CODES: frozenset[int | None] = frozenset(
    (1002, 1005, 1006, 2001, 2002, 2003, 2008, 2103, 3007, 1020, 1021, 1100, None)
)
"""All that is known of how such a file may end; it may be read too, as the text that it is."""


def files_of(trick: str) -> Iterator[tuple[str, bytes]]:
    """The trick under every suffix, and inside archives."""
    content = filled(TRICKS[trick].encode())
    for suffix in _SUFFIXES:
        yield f"a.{suffix}".rstrip("."), content
    for kind in _ARCHIVES:
        packed = ARCHIVES[kind]({"a.geojson": content, "a.vrt": content})
        yield f"a.{kind}", packed
