"""Well-known binary without heights and measures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import shapely

_EWKB_DIMENSIONS = 0xC000_0000
_ISO_STEP = 1000
"""ISO types add 1000 for Z, 2000 for M, 3000 for both (OGC 06-103r4, 8.2.8)."""
_HEADER_BYTES = 5


def force_2d(array: pa.Array) -> pa.Array:
    """``array`` (WKB or NULL) in two dimensions; returned as it is where it has no more."""
    array = _plain(array)
    if not has_more_dimensions(array):
        return array
    values = np.array(array.to_pylist(), dtype=object)
    flat = shapely.force_2d(shapely.from_wkb(values))
    return pa.array(shapely.to_wkb(flat), pa.binary())


def _plain(array: pa.Array) -> pa.Array:
    return (array.storage if isinstance(array, pa.ExtensionArray) else array).cast(pa.binary())


def has_more_dimensions(array: pa.Array) -> bool:
    """Whether any geometry says that it has Z or M, from the type code in its header."""
    valid = _plain(array).drop_null()
    if len(valid) == 0:
        return False
    _, offsets_buffer, data_buffer = valid.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[valid.offset :][: len(valid) + 1]
    starts = offsets[:-1][np.diff(offsets) >= _HEADER_BYTES].astype(np.int64)
    data = np.frombuffer(data_buffer, dtype=np.uint8)
    headers = data[starts[:, None] + np.arange(_HEADER_BYTES)]
    little = headers[:, 0] == 1
    codes = np.where(
        little,
        np.ascontiguousarray(headers[:, 1:]).view("<u4").ravel(),
        np.ascontiguousarray(headers[:, 1:]).view(">u4").ravel(),
    )
    return bool((((codes & _EWKB_DIMENSIONS) != 0) | ((codes & 0xFFFF) >= _ISO_STEP)).any())
