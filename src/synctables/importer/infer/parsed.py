"""A chunk of text read as one kind of value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synctables.importer.infer.types import Need

_TRY_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What the values of a chunk need, and the values themselves as Arrow reads them.

    ``array`` is as long as the chunk, NULL where the text was blank. For moments in a form that
    is not settled it is still text.
    """

    need: Need
    array: pa.Array


def all_match(mask: pa.BooleanArray) -> bool:
    """Whether the mask is true wherever it is not NULL."""
    return pc.all(mask).as_py() is not False


def any_true(mask: pa.BooleanArray) -> bool:
    """Whether the mask is true anywhere."""
    return pc.any(mask).as_py() is True


def cast_or_none(values: pa.Array, arrow: pa.DataType) -> pa.Array | None:
    """The values in another type, or None if one of them does not convert.

    The first few are tried alone: a cast that fails costs ten times one that does not.
    """
    try:
        pc.cast(values.slice(0, _TRY_ROWS), arrow)
        return pc.cast(values, arrow)
    except pa.ArrowInvalid:
        return None


def text_bytes(values: pa.StringArray) -> NDArray[np.uint8]:
    """The UTF-8 of all values, one after the other."""
    _, offsets, blob = values.buffers()
    if blob is None or not len(values):
        return np.empty(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int32)
    start, end = ends[values.offset], ends[values.offset + len(values)]
    return np.frombuffer(blob, dtype=np.uint8)[start:end]


def text_ends(values: pa.StringArray) -> NDArray[np.int32]:
    """Where each value ends in `text_bytes`."""
    ends = np.frombuffer(values.buffers()[1], dtype=np.int32)[values.offset :][: len(values) + 1]
    relative: NDArray[np.int32] = ends[1:] - ends[0]
    return relative
