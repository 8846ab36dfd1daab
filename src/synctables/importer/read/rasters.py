"""Rasters, known by how they begin, so that the refusal says what the file is."""

from __future__ import annotations

import re

from synctables.errors import RasterError

_MAGIC = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\x89HDF", "HDF5 or netCDF"),
    (b"CDF\x01", "netCDF"),
    (b"CDF\x02", "netCDF"),
    (b"CDF\x05", "netCDF"),
    (b"GRIB", "GRIB"),
    (b"EHFA_HEADER_TAG", "Erdas Imagine"),
    (b"NITF0", "NITF"),
)
_ASCII_GRID = re.compile(rb"\s*ncols\s+\d+\s+nrows\s+\d+\s+[xy]ll(?:corner|center)\s", re.I)
"""Esri's grid as text: a header of words and numbers, then the cells of each line."""


def refuse_raster(name: str, head: bytes) -> None:
    """Raise `RasterError` where ``head`` begins one."""
    if _ASCII_GRID.match(head):
        raise raster_error(name, "a raster (Esri ASCII grid)")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            raise raster_error(name, f"a raster image ({kind})")


def raster_error(name: str, what: str) -> RasterError:
    return RasterError(
        f"{name} is {what}. Raster is out of scope: only tables and vector maps are read."
    )
