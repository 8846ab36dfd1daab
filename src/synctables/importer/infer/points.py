"""Many points at once, without a geometry object for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctables.importer.infer.projection import WEBMERCATOR, WGS84, Coordinates, webmercator

_LITTLE_ENDIAN = 1
_POINT = 1
_POINT_WITH_SRID = 0x20000001
_WKB_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
_EWKB_POINT = np.dtype(
    [("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("x", "<f8"), ("y", "<f8")]
)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Rows of points: coordinates of those rows that are ``present``, in row order."""

    x: Coordinates
    y: Coordinates
    present: NDArray[np.bool_]


def points_of_wkb(blobs: pa.BinaryArray) -> Points | None:
    """The coordinates of WKB that holds nothing but finite points in two dimensions, else None."""
    present = np.asarray(blobs.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    _, offset_bytes, blob = blobs.buffers()
    ends = np.frombuffer(offset_bytes, dtype=np.int32)[blobs.offset :][: len(blobs) + 1]
    if blob is None or not (np.diff(ends) == present * _WKB_POINT.itemsize).all():
        return None
    wkb = np.frombuffer(blob, dtype=np.uint8)[ends[0] : ends[-1]].view(_WKB_POINT)
    is_point = (wkb["order"] == _LITTLE_ENDIAN) & (wkb["type"] == _POINT)
    if not (is_point & np.isfinite(wkb["x"]) & np.isfinite(wkb["y"])).all():
        return None
    return Points(x=wkb["x"].astype(np.float64), y=wkb["y"].astype(np.float64), present=present)


def point_columns(points: Points) -> tuple[pa.BinaryArray, pa.BinaryArray]:
    """``the_geom`` and ``the_geom_webmercator`` of points in degrees, as EWKB."""
    mercator_x, mercator_y = webmercator(points.x, points.y)
    return (
        _ewkb(points.x, points.y, points.present, WGS84),
        _ewkb(mercator_x, mercator_y, points.present, WEBMERCATOR),
    )


def _ewkb(x: Coordinates, y: Coordinates, present: NDArray[np.bool_], srid: int) -> pa.BinaryArray:
    points = np.empty(len(x), dtype=_EWKB_POINT)
    points["order"], points["type"], points["srid"] = _LITTLE_ENDIAN, _POINT_WITH_SRID, srid
    points["x"], points["y"] = x, y
    offsets = np.zeros(len(present) + 1, dtype=np.int32)
    np.cumsum(present, out=offsets[1:])
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(present),
        [
            pa.array(present).buffers()[1],  # a bitmap of booleans is a bitmap of validity
            pa.py_buffer(offsets * _EWKB_POINT.itemsize),
            pa.py_buffer(points),
        ],
    )
