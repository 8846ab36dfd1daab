"""How rows of both versions lie in memory and on disk while they are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

KEPT = np.dtype([("low", "<u8"), ("high", "<u8"), ("id", "<i8"), ("place", "<i8")])
"""A row of the version in the table: the halves of its hash, its ``cartodb_id``, and its place:
places grow with the order of the file, and there is room between them."""
NEW = np.dtype([("low", "<u8"), ("high", "<u8"), ("position", "<i8")])
"""A row of the new version; positions count from 1 in file order."""
PLACE_STEP = 1 << 20
"""Between the places of neighbours in the file that the base was made of."""

BLOCK_ROWS = 1 << 16


class Spool:
    """Rows on disk in the order in which they were added, to be read more than once."""

    def __init__(self, folder: Path, layout: np.dtype[Any]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        self._layout = layout

    def add(self, rows: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows).view(np.uint8).data)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All rows, at most `BLOCK_ROWS` at a time. Nothing may be added meanwhile."""
        self._file.seek(0)
        while content := self._file.read(BLOCK_ROWS * self._layout.itemsize):
            yield np.frombuffer(content, self._layout)

    def close(self) -> None:
        self._file.close()


class Later:
    """What was said of kept rows after they were: other hashes and places, or that they are gone.

    ``rows`` are laid out as `KEPT`, one for each id.
    """

    def __init__(self, rows: NDArray[Any], gone: Numbers) -> None:
        self._rows, self._gone = rows[np.argsort(rows["id"])], np.sort(gone)

    @classmethod
    def nothing(cls) -> Later:
        return cls(np.empty(0, KEPT), np.empty(0, np.int64))

    def applied_to(self, blocks: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The rows as they are now, where they stood before; those whose id is new come last."""
        is_new = np.ones(len(self._rows), bool)
        for block in blocks:
            changed, numbers = _find(self._rows["id"], block["id"])
            is_new[numbers] = False
            now = block.copy()
            now[changed] = self._rows[numbers]
            yield np.delete(now, _find(self._gone, block["id"])[0])
        yield self._rows[is_new]


def _find(sought: Numbers, ids: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where among ``ids`` those that are ``sought`` stand, and which of the sought each is.

    Both have no id twice. ``sought`` ascend, and so do ``ids`` in most blocks.
    """
    order = np.arange(len(ids)) if (ids[:-1] < ids[1:]).all() else np.argsort(ids)
    ascending = ids[order]
    begin = np.searchsorted(sought, ascending[0])
    end = np.searchsorted(sought, ascending[-1], side="right")
    places = np.searchsorted(ascending, sought[begin:end])
    is_there = ascending[places] == sought[begin:end]
    return order[places[is_there]], np.flatnonzero(is_there) + begin
