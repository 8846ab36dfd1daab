"""Rows that stand at about the same place in both versions, taken out while both stream by.

In most refreshes that is nearly every row, also where rows before it came or went. What is left is
few, and is compared wherever it stands. Memory does not depend on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synctables.importer.apply.row_layouts import BLOCK_ROWS, KEPT, NEW, Numbers

Blocks = Iterator[NDArray[Any]]
Leave = Callable[[NDArray[Any]], None]

MOST_WAITING_ROWS = 4 * BLOCK_ROWS
"""So many rows of each version wait for their equal to come; then the older half is given up."""
_FEWEST_EQUAL = 0.1


class Anchors:
    """Places of new rows that were taken out and whose follower was not, by their position."""

    def __init__(self) -> None:
        self._noted: list[tuple[Numbers, Numbers]] = []

    def note(self, kept: NDArray[Any], new: NDArray[Any], equals: NDArray[np.intp]) -> None:
        """``equals``: of each new row the kept row that equals it; -1: none did."""
        has_equal, positions = equals >= 0, new["position"]
        is_followed = np.zeros(len(new), bool)
        is_followed[:-1] = has_equal[1:] & (positions[1:] == positions[:-1] + 1)
        chosen = np.flatnonzero(has_equal & ~is_followed)
        self._noted.append((positions[chosen], kept["place"][equals[chosen]]))

    def sorted(self) -> tuple[Numbers, Numbers]:
        """Positions, ascending, and the place of each."""
        positions, places = (
            np.concatenate([np.empty(0, np.int64), *column])
            for column in ([one[0] for one in self._noted], [one[1] for one in self._noted])
        )
        order = np.argsort(positions)
        return positions[order], places[order]


def take_out_unmoved(kept: Blocks, new: Blocks, *, leave_kept: Leave, leave_new: Leave) -> Anchors:
    """Take out pairs of equal rows of both versions; ``leave_…`` hear of all rows that are left."""
    anchors = Anchors()
    waiting_kept, waiting_new = np.empty(0, KEPT), np.empty(0, NEW)
    for kept_block, new_block in zip_longest(kept, new):
        waiting_kept = _joined(waiting_kept, kept_block)
        waiting_new = _joined(waiting_new, new_block)
        equals = _find_equals(waiting_kept, waiting_new)
        has_equal = equals >= 0
        anchors.note(waiting_kept, waiting_new, equals)
        waiting_kept = _give_up(np.delete(waiting_kept, equals[has_equal]), leave_kept)
        waiting_new = _give_up(waiting_new[~has_equal], leave_new)
        if len(has_equal) > MOST_WAITING_ROWS and has_equal.mean() < _FEWEST_EQUAL:
            break  # sorted anew: looking for more would be in vain
    for waiting, blocks, leave in (
        (waiting_kept, kept, leave_kept),
        (waiting_new, new, leave_new),
    ):
        leave(waiting)
        for block in blocks:
            leave(block)
    return anchors


def _joined(waiting: NDArray[Any], block: NDArray[Any] | None) -> NDArray[Any]:
    return waiting if block is None else np.concatenate([waiting, block])


def _give_up(waiting: NDArray[Any], leave: Leave) -> NDArray[Any]:
    """Those that go on waiting; of too many the older ones do not."""
    if len(waiting) <= MOST_WAITING_ROWS:
        return waiting
    leave(waiting[: -MOST_WAITING_ROWS // 2])
    return waiting[-MOST_WAITING_ROWS // 2 :]


def _find_equals(kept: NDArray[Any], new: NDArray[Any]) -> NDArray[np.intp]:
    """For each new row the number of an equal kept row; -1: none is left. Each is taken once.

    Of copies only the first may find its equal here.
    """
    found = pc.index_in(_words(kept["low"]), value_set=_words(new["low"])).fill_null(-1)
    candidates = found.to_numpy()
    rows = np.flatnonzero(candidates >= 0)
    candidates = candidates[rows]
    rows_equal = kept["high"][rows] == new["high"][candidates]
    equals = np.full(len(new), -1, np.intp)
    equals[candidates[rows_equal][::-1]] = rows[rows_equal][::-1]
    return equals


def _words(values: NDArray[np.uint64]) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))
