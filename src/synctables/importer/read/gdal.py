"""GDAL with few drivers: those that this service needs, and at any time only the one in use.

GDAL tries its drivers in turn on any file, so a ``.geojson`` whose bytes are a VRT or a WFS
description makes a careless program read other files and call addresses. Drivers are taken away
twice: the child's environment keeps those that are known from staying when GDAL starts
(`synctables.importer.environment`), and importing this module removes all others that are not in
`DRIVERS`, by whatever name they come.
"""

from __future__ import annotations

import ctypes

import pyogrio
import pyogrio._ogr

DRIVERS = (
    *("GeoJSON", "GeoJSONSeq", "TopoJSON", "ESRIJSON", "ESRI Shapefile", "MapInfo File", "GPKG"),
    *("OpenFileGDB", "FlatGeobuf", "LIBKML", "GPX", "GML", "OSM"),
)

_library = ctypes.CDLL(pyogrio._ogr.__file__)  # its symbols include those of the GDAL it links
_library.GDALGetDriver.restype = ctypes.c_void_p
_library.GDALGetDriver.argtypes = [ctypes.c_int]
_library.GDALGetDescription.restype = ctypes.c_char_p
_library.GDALGetDescription.argtypes = [ctypes.c_void_p]
_library.GDALRegisterDriver.argtypes = [ctypes.c_void_p]
_library.GDALDeregisterDriver.restype = None
_library.GDALDeregisterDriver.argtypes = [ctypes.c_void_p]


def allow_only(name: str) -> None:
    """Let GDAL open files with the one driver ``name`` (of `DRIVERS`) from now on."""
    _remove_all_but(name)
    if name not in registered_drivers():
        _library.GDALRegisterDriver(_handles[name])


def registered_drivers() -> list[str]:
    """Names of the drivers that GDAL would try."""
    return [name for _, name in _registered()]


def _registered() -> list[tuple[int, str]]:
    count = _library.GDALGetDriverCount()
    handles = [_library.GDALGetDriver(index) for index in range(count)]
    return [(handle, _library.GDALGetDescription(handle).decode()) for handle in handles]


def _remove_all_but(*names: str) -> None:
    for handle, name in _registered():
        if name not in names:
            _library.GDALDeregisterDriver(handle)


_handles = {name: handle for handle, name in _registered() if name in DRIVERS}
_remove_all_but(*DRIVERS)
pyogrio.set_gdal_config_options(
    {
        "GML_DOWNLOAD_SCHEMA": "NO",
        "GML_SKIP_RESOLVE_ELEMS": "ALL",
        # GDAL's own index wants nodes by ascending id; of a file that has them in another order
        # it loses most lines and areas, with no more than a message.
        "OSM_USE_CUSTOM_INDEXING": "NO",
    }
)
