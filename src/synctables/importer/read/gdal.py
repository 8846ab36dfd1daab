"""GDAL with few drivers: those that this service needs, and then only the one a file needs.

GDAL tries its drivers in turn on any file, so a ``.geojson`` whose bytes are a VRT or a WFS
description makes a careless program read other files and call addresses. Drivers are taken away
twice: ``OGR_SKIP`` and ``GDAL_SKIP`` in the environment keep the known ones from staying when GDAL
starts (`SKIPPED`), and `allow_only` removes whatever else is there before a file is opened.

Import this module before anything imports pyogrio.
"""

from __future__ import annotations

import ctypes
import os

DRIVERS = ("GeoJSON", "ESRI Shapefile", "GPKG", "LIBKML")

_SKIPPED_VECTOR = (
    "PCIDSK PDS4 VICAR PDF MBTiles EEDA OGCAPI GDALG LVBAG S57 DGN OGR_VRT CSV GML GPX KML"
    " GeoJSONSeq ESRIJSON TopoJSON OGR_GMT SQLite WAsP OpenFileGDB DXF FlatGeobuf GeoRSS VFK"
    " PGDUMP OSM GPSBabel OGR_PDS WFS OAPIF EDIGEO Idrisi ODS XLSX Elasticsearch Carto AmigoCloud"
    " SXF Selafin JML PLSCENES CSW VDV MVT NGW MapML GTFS PMTiles JSONFG MiraMonVector ADBC AVCBin"
    " AVCE00 AIVector MEM"
)
_SKIPPED_RASTER = "DERIVED GTI VRT WCS WMS WMTS STACTA STACIT PLMOSAIC EEDAI DAAS MRF TIL HTTP"


def _set_options() -> None:
    """Before GDAL starts: which drivers stay away, and no network, plugins or side files."""
    os.environ["OGR_SKIP"] = ",".join([*_SKIPPED_VECTOR.split(), "MapInfo File"])
    os.environ["GDAL_SKIP"] = " ".join(_SKIPPED_RASTER.split())
    os.environ["GDAL_DRIVER_PATH"] = "disable"
    os.environ["GDAL_HTTP_TIMEOUT"] = "1"
    os.environ["PROJ_NETWORK"] = "OFF"
    os.environ["GDAL_PAM_ENABLED"] = "NO"
    os.environ["OGR_ENABLE_PARTIAL_REPROJECTION"] = "NO"


_set_options()

import pyogrio  # noqa: E402
import pyogrio._ogr  # noqa: E402 - the options must be there first

_library = ctypes.CDLL(pyogrio._ogr.__file__)  # its symbols include those of the GDAL it links
_library.GDALGetDriver.restype = ctypes.c_void_p
_library.GDALGetDriver.argtypes = [ctypes.c_int]
_library.GDALGetDescription.restype = ctypes.c_char_p
_library.GDALGetDescription.argtypes = [ctypes.c_void_p]
_library.GDALDeregisterDriver.restype = None
_library.GDALDeregisterDriver.argtypes = [ctypes.c_void_p]


def allow_only(*names: str) -> None:
    """Take every other driver away from this process, for good. A driver once gone stays gone."""
    for handle, name in _registered():
        if name not in names:
            _library.GDALDeregisterDriver(handle)


def registered_drivers() -> list[str]:
    """Names of the drivers that are left."""
    return [name for _, name in _registered()]


def _registered() -> list[tuple[int, str]]:
    count = _library.GDALGetDriverCount()
    handles = [_library.GDALGetDriver(index) for index in range(count)]
    return [(handle, _library.GDALGetDescription(handle).decode()) for handle in handles]


allow_only(*DRIVERS)
