"""What GDAL loses of GeoJSON, read once more from the text: integers beyond 64 bits, and shapes.

GDAL rounds such integers to doubles, and gives a shape that it cannot make sense of as none. Both
are rare, so the text is only parsed again where GDAL's own answer gives a reason.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from synctables.importer.read.json_rows import iterate_features
from synctables.importer.read.json_table import render

UNREADABLE_SHAPE = b"unreadable"
"""Stands in the geometry column for a shape that could not be read; infer counts it as lost."""
_LONG_INTEGER = rb"\s*:\s*-?\d{16,}(?![\d.eE])"


def has_long_integers(path: Path, name: str) -> bool:
    """Whether a property of that name has integers that a double may round.

    A search for the key is many times faster than parsing. GDAL's own warning comes only once in
    the life of a process.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        keys = {json.dumps(name, ensure_ascii=is_ascii).encode() for is_ascii in (True, False)}
        return any(re.search(re.escape(key) + _LONG_INTEGER, content) for key in keys)


class ExactFeatures:
    """The features of a file, chunk by chunk, beside GDAL's own stream of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._features: Iterator[Any] | None = None
        self._taken_count = self._row_count = self._chunk_count = 0
        self._chunk: list[Any] = []

    def advance(self, row_count: int) -> None:
        """The next chunk begins; nothing is parsed yet."""
        self._chunk = []
        self._chunk_count = row_count
        self._row_count += row_count

    def values(self, name: str) -> pa.Array:
        """A property of the chunk's features as text."""
        found = [_dict(_dict(feature).get("properties")).get(name) for feature in self._parsed()]
        return pa.array([None if value is None else render(value) for value in found], pa.string())

    def mark_lost(self, shapes: pa.Array) -> pa.Array:
        """``shapes`` (WKB or NULL), with `UNREADABLE_SHAPE` where the file has a shape."""
        if not shapes.null_count:
            return shapes
        is_null = np.asarray(shapes.is_null())
        lost = is_null & np.array([_has_shape(feature) for feature in self._parsed()])
        if not lost.any():
            return shapes
        return pa.array(
            [
                UNREADABLE_SHAPE if is_lost else shape
                for shape, is_lost in zip(shapes.to_pylist(), lost, strict=True)
            ],
            pa.binary(),
        )

    def _parsed(self) -> list[Any]:
        """As many features as the chunk has rows; those of earlier chunks are passed over."""
        if not self._chunk:
            if self._features is None:
                self._features = iterate_features(self._path)
            for _ in islice(
                self._features, self._row_count - self._chunk_count - self._taken_count
            ):
                pass
            self._chunk = list(islice(self._features, self._chunk_count))
            self._chunk += [{}] * (self._chunk_count - len(self._chunk))
            self._taken_count = self._row_count
        return self._chunk


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _has_shape(feature: Any) -> bool:
    return _dict(feature).get("geometry") is not None
