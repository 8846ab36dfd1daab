"""Many points at once as EWKB, without a geometry object for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctables.importer.infer.geometry import WEBMERCATOR, WGS84, Coordinates, webmercator

_LITTLE_ENDIAN = 1
_POINT_WITH_SRID = 0x20000001
_EWKB_POINT = np.dtype(
    [("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("x", "<f8"), ("y", "<f8")]
)


def point_columns(
    longitude: Coordinates, latitude: Coordinates, present: NDArray[np.bool_]
) -> tuple[pa.BinaryArray, pa.BinaryArray]:
    """``the_geom`` and ``the_geom_webmercator`` of points; NULL where not ``present``."""
    x, y = longitude[present], latitude[present]
    return _ewkb(x, y, present, WGS84), _ewkb(*webmercator(x, y), present, WEBMERCATOR)


def _ewkb(x: Coordinates, y: Coordinates, present: NDArray[np.bool_], srid: int) -> pa.BinaryArray:
    points = np.empty(len(x), dtype=_EWKB_POINT)
    points["order"], points["type"], points["srid"] = _LITTLE_ENDIAN, _POINT_WITH_SRID, srid
    points["x"], points["y"] = x, y
    offsets = np.zeros(len(present) + 1, dtype=np.int32)
    np.cumsum(present, out=offsets[1:])
    validity = pa.array(present).buffers()[1]
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(present),
        [validity, pa.py_buffer(offsets * _EWKB_POINT.itemsize), pa.py_buffer(points)],
    )
